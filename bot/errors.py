"""What keeps the process from starting, or a command from being done."""


class StartError(Exception):
    """The message says, in a line or two, what is wrong and what to do; the exit status is 1."""


class CommandError(Exception):
    """A command cannot do what was asked; the message says why, the exit status is 1."""
