"""How the bot talks to Telegram. Handlers belong in bot.handlers, texts in bot.views, notices in bot.delivery."""
