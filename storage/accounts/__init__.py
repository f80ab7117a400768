"""People, their access to the bot, and API tokens."""
