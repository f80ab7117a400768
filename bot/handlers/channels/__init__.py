"""Commands, buttons and updates about channels, exports and imports."""
