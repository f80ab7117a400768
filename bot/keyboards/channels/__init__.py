"""Buttons about channels, exports and imports."""
