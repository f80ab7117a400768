"""The loops of a process: told to stop all at once, then awaited together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)

Loop = Coroutine[Any, Any, None]


class Loops:
    """Tasks, and how each is asked to end."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._stops: list[Callable[[], Loop | None]] = []

    def add(self, loop: Loop, stop: Callable[[], Loop | None] | None = None) -> None:
        """Run a loop. `stop` asks it to end (what it returns is awaited, too); without one it is cancelled."""
        task = asyncio.create_task(loop)
        task.add_done_callback(_report)

        def cancel() -> None:
            task.cancel()

        self._tasks.append(task)
        self._stops.append(stop or cancel)

    async def stop(self, seconds: float) -> None:
        """Ask every loop to end, and wait for all of them; what has not ended after `seconds` is cancelled."""
        calls = [asyncio.create_task(call) for call in [stop() for stop in self._stops] if call is not None]
        waits = [*self._tasks, *calls]
        if not waits:
            return
        _, late = await asyncio.wait(waits, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            log.warning("stopped_late", loops=len(late))
            await asyncio.wait(late, timeout=1)


def _report(task: asyncio.Task[None]) -> None:
    # A loop handles what is expected: this is a bug, and should be seen when it happens, not at the end.
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("loop_failed", exc_info=error)
