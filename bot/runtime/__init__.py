"""How the bot and the worker are put together, started, scheduled and stopped. Only bot.cli imports this package."""
