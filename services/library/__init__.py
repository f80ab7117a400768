"""Posts and tags as they are read: by the bot, the HTTP API, exports and feeds. Nothing here changes a post."""
