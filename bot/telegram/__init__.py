"""How the bot talks to Telegram: session, rate limit, dispatcher, middlewares, and updates by polling or webhook.

What is said belongs in bot.handlers and bot.views, what goes out by itself in bot.delivery.
"""
