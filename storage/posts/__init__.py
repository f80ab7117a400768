"""Posts as they come in and are stored: from channels, files, the API and the webhook's updates."""
