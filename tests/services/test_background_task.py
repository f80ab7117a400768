"""A background task runs when woken or after a pause, survives its errors, and ends in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from structlog.testing import capture_logs

from services.background_task import BackgroundTask, unless_set
from tests.virtual_time import virtual_loop, virtually


class Counting(BackgroundTask):
    """Notes when it works, and does the next of its steps: a pause, an error, or a pause until woken."""

    error_pause = 5.0

    def __init__(self, *steps: float | Exception | None) -> None:
        super().__init__()
        self._steps = list(steps)
        self._began = virtual_loop().now
        self.at: list[int] = []
        self.is_finished = False

    async def work(self) -> float | None:
        self.at.append(round(virtual_loop().now - self._began))
        await asyncio.sleep(1)
        step = self._steps.pop(0) if self._steps else None
        if isinstance(step, Exception):
            raise step
        return step

    async def finish(self) -> None:
        self.is_finished = True


async def run(task: BackgroundTask, **at: Callable[[], None]) -> None:
    """Run the task; `s3=…` is called after three seconds."""
    for name, call in at.items():
        asyncio.get_running_loop().call_later(float(name[1:]), call)
    await task.run()


def test_it_works_again_after_the_pause_and_when_woken() -> None:
    async def check() -> None:
        task = Counting(10.0, None)
        await run(task, s50=task.wake, s100=task.stop)
        assert task.at == [0, 11, 50]
        assert task.is_finished

    virtually(check())


def test_woken_while_it_works_it_works_again() -> None:
    async def check() -> None:
        task = Counting(None, None)
        await run(task, s0=task.wake, s100=task.stop)
        assert task.at == [0, 1]

    virtually(check())


def test_stopped_while_it_works_it_ends_after_that() -> None:
    async def check() -> None:
        task = Counting(0.0, 0.0)
        await run(task, s0=task.stop)
        assert task.at == [0]
        assert task.is_finished

    virtually(check())


def test_an_error_is_logged_and_tried_again() -> None:
    async def check() -> None:
        task = Counting(ValueError("a bug"), None)
        with capture_logs() as lines:
            await run(task, s100=task.stop)
        assert task.at == [0, 6]
        assert [(line["event"], line["task"], line["log_level"]) for line in lines] == [
            ("task_failed", "Counting", "error")
        ]

    virtually(check())


def test_that_the_database_is_away_is_logged_once() -> None:
    async def check() -> None:
        task = Counting(ConnectionError(), ConnectionError(), None)
        with capture_logs() as lines:
            await run(task, s100=task.stop)
        assert [line["event"] for line in lines] == ["database_unavailable", "database_back"]

    virtually(check())


def test_work_is_cancelled_when_the_event_is_set() -> None:
    async def check() -> None:
        event = asyncio.Event()
        assert await unless_set(event, asyncio.sleep(1))
        virtual_loop().call_later(1, event.set)
        assert not await unless_set(event, asyncio.sleep(1000))

    virtually(check())
