"""Posts from all sources → rows of `posts`, each message stored once per user.

`store` stores what a source delivers; the other modules are the ways in: the bot's channels, the API, imported files,
and updates that a webhook received.
"""
