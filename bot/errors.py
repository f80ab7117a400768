class StartError(Exception):
    """The process cannot start. The message says what is wrong and what to do; the exit status is 1."""


class CommandError(Exception):
    """A command cannot be done. The message says why; the exit status is 1."""
