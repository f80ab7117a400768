import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class BackgroundTasks:
    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._stops: list[Callable[[], object]] = []

    def start(self, work: Coroutine[Any, Any, None], stop: Callable[[], object] | None = None) -> None:
        """`stop` asks the work to end; without `stop` it is cancelled."""
        task = asyncio.create_task(work)
        task.add_done_callback(_report)
        self._tasks.append(task)
        self._stops.append(stop or task.cancel)

    async def stop(self, seconds: float) -> None:
        """Ask all tasks to end. Those that still run after `seconds` are cancelled."""
        for stop in self._stops:
            stop()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            log.warning("stopped_late", tasks=len(late))
            await asyncio.wait(late, timeout=1)


def _report(task: asyncio.Task[None]) -> None:
    # Tasks handle the errors they expect. Any other is a bug, and must be seen now rather than at the end.
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("task_ended", exc_info=error)
