"""Metka's outside: Telegram, HTTP, the scheduler, the command line. What the product does belongs in `services`."""

__version__ = "0.1.0"
