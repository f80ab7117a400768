"""The scenarios in the order they run, and how one is run."""

from __future__ import annotations

import importlib
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from benchmarks.figures import Figure, UnavailableError, figures_table

#: Modules of this package with `async def run() -> list[Figure]`, in the order they run.
NAMES = (
    "throughput",
    "latency",
    "fresh_post",
    "chat",
    "faults",
    "dead",
    "many_processes",
    "million",
    "vocabulary",
    "footprint",
)


@dataclass(frozen=True, slots=True)
class Result:
    """A scenario's figures, the seconds it took, and in words why there are none."""

    name: str
    seconds: float
    figures: Sequence[Figure] = field(default=())
    not_run: str = ""


async def run_all(names: Collection[str], show: Callable[[str], None]) -> list[Result]:
    """The scenarios of these names; each one's table is shown as soon as it is there."""
    results: list[Result] = []
    for name in NAMES:
        if name in names:
            result = await _run(name)
            figures = figures_table(name, result.figures) if result.figures else f"{name}: not run"
            show(f"\n{figures}\n({result.not_run or f'{result.seconds:.0f} s'})")
            results.append(result)
    return results


async def _run(name: str) -> Result:
    began = time.monotonic()
    module = importlib.import_module(f"benchmarks.{name}")
    try:
        figures = await module.run()
    except UnavailableError as error:
        return Result(name, time.monotonic() - began, not_run=str(error))
    except Exception as error:
        # A scenario that breaks must not cost the figures of the others.
        traceback.print_exc()
        return Result(name, time.monotonic() - began, not_run=f"broke: {type(error).__name__}")
    return Result(name, time.monotonic() - began, figures)
