"""What the bot sends by itself: notices, progress, hashtags in channels, and exports and imports as background jobs.

Answers to updates belong in bot.handlers.
"""
