"""A chat or account that Telegram Desktop exported as JSON (`result.json`)."""
