"""An event loop whose time passes when everything waits, and not otherwise."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """For what waits for times only."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        """The loop's clock."""
        return self.now

    def stall(self, seconds: float) -> None:
        """As if the process got no processor meanwhile: all that is due comes in a bunch afterwards."""
        self.now += seconds


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits, and nothing for a time"
        self._loop.now += max(0.0, timeout)
        return super().select(0)


def virtually(work: Coroutine[Any, Any, None]) -> None:
    """Run it in such a loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work)


def virtual_loop() -> VirtualLoop:
    """The one that is running."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop
