"""How the bot talks to Telegram: session, rate limit, dispatcher, middlewares, and updates by polling or webhook.

Handlers belong in bot.handlers, texts in bot.views, messages that nobody asked for in bot.delivery.
"""
