"""Buttons about posts."""
