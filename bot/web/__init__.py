"""The HTTP server: API, health, metrics, feeds and Telegram's webhook.

Handlers translate HTTP into calls of `services` and back; what they call decides.
"""
