"""What the bot sends unasked: notices, progress, hashtags in channels; and exports and imports as background jobs.

Answers to updates belong in bot.handlers.
"""
