"""Messages in the person's language: a file per topic, named as in handlers/ and keyboards/.

Values are shortened before a message is built, so that no message exceeds Telegram's length.
"""
