"""What a check is: it returns what is in order, or raises what is not."""

from collections.abc import Awaitable, Callable

from bot.settings import Settings

#: Returns the words of its "ok" line, or nothing. Raises CheckWarning, CheckFailed or StartError.
Check = Callable[[Settings], Awaitable[str]]


class CheckFailed(Exception):  # noqa: N818 - a finding, not a fault of the program
    """A check failed. The message says what to do."""


class CheckWarning(Exception):  # noqa: N818 - as above
    """The bot starts, but hardly as intended. The message says what to do."""
