"""What keeps the process from starting."""


class StartError(Exception):
    """The message says, in a line or two, what is wrong and what to do; the exit status is 1."""
