"""Inline keyboards and the callback data of their buttons: a file per topic, named as in handlers/ and views/.

Telegram lets anybody send any callback data, so each class checks its values.
"""
