"""The processes: how the bot and the worker are put together, started, scheduled and stopped.

The only package of bot that knows all others; none of them imports it, except bot.cli.
"""
