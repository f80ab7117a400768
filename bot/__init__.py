"""Metka: all that faces the outside."""

__version__ = "0.1.0"
