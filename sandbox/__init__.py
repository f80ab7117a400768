"""The offline world: a Bot API stand-in with its chat page, and a faulty model provider."""
