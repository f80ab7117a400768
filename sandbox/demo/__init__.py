"""`make demo`: the real bot, guided through a conversation with the stand-ins of the sandbox."""
