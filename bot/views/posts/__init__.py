"""Texts about posts."""
