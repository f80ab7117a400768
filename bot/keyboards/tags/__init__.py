"""Buttons about tags and the rules for them."""
