"""Commands and buttons about posts."""
