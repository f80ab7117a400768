"""Texts about channels, exports and imports."""
