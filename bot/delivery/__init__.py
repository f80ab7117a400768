"""What the bot sends unasked, and exports and imports as background jobs. Answers to updates belong in bot.handlers."""
