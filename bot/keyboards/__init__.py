"""Inline keyboards and their callback data. Anybody can send any callback data, so each class checks its values."""
