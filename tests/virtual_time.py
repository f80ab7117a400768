"""An event loop whose time passes only while everything waits."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

TURN_SECONDS = 1e-6


class VirtualLoop(asyncio.SelectorEventLoop):
    """For code that waits for nothing but time."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        """The loop's clock."""
        return self.now


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits, and nothing for a time"
        # A turn of the loop takes time: a timer set a rounding error ahead would else never come.
        self._loop.now += max(TURN_SECONDS, timeout)
        return super().select(0)


def virtually(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` in a virtual loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work)


def virtual_loop() -> VirtualLoop:
    """The running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop
