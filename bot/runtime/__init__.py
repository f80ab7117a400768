"""How the bot and the worker are put together, started and stopped. No other package imports it but bot.cli."""
