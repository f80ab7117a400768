import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager


class StopAsked:
    """Whether somebody asked the command to stop, and the exit status that then tells so."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.status = 0


@contextmanager
def stop_signals() -> Iterator[StopAsked]:
    """SIGTERM and Ctrl-C set the event. The next one ends the process."""
    asked, loop = StopAsked(), asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def stop(number: signal.Signals) -> None:
        asked.status = 128 + number
        asked.event.set()
        release()

    def release() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, stop, number)
    try:
        yield asked
    finally:
        release()
