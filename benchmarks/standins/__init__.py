"""Lean servers, each a process of its own, so that what is measured is the bot and not who it talks to."""
