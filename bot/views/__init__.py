"""Messages in the person's language. Values are shortened first, so that no message exceeds Telegram's length."""
