from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Signal:
    """Says that there is work. The receiver may come and go; without one the work waits in the database."""

    def __init__(self) -> None:
        self._receiver: Callable[[], None] | None = None

    def send(self) -> None:
        if self._receiver is not None:
            self._receiver()

    @contextmanager
    def received_by(self, receiver: Callable[[], None]) -> Iterator[None]:
        self._receiver = receiver
        try:
            yield
        finally:
            self._receiver = None
