"""Who waits for the world to change, and who listens to what happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Changes:
    """Wakes waiters on every change, without polling; hands events to the live listeners."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()
        self._listeners: set[asyncio.Queue[dict[str, Any]]] = set()

    def touch(self, event: dict[str, Any] | None = None) -> None:
        """Something changed."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters = set()
        if event is not None:
            for listener in self._listeners:
                listener.put_nowait(event)

    async def wait_for(self, predicate: Callable[[], T | None], timeout: float = 10.0) -> T:  # noqa: ASYNC109
        """Wait until `predicate` gives something true, and give that; TimeoutError otherwise."""
        async with asyncio.timeout(timeout):
            while not (value := predicate()):
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiters.add(waiter)
                try:
                    await waiter
                finally:
                    self._waiters.discard(waiter)
            return value

    @contextmanager
    def listening(self) -> Iterator[asyncio.Queue[dict[str, Any]]]:
        """A queue of all events from now on."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)
