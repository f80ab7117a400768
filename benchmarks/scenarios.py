"""The scenarios in the order they run, and how one is run."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from benchmarks.figures import Figure, UnavailableError, figures_table

#: Modules of this package with `async def run() -> list[Figure]`. Those of one group run side by side: `pace` waits for
#: a limit nearly all the time, a request in three seconds, and costs the other nothing.
GROUPS = (
    ("throughput",),
    ("chat",),
    ("latency",),
    ("faults",),
    ("dead",),
    ("many_processes",),
    ("million",),
    ("footprint", "pace"),
    ("api_load",),
    ("imports",),
    ("notices",),
)
NAMES = tuple(name for group in GROUPS for name in group)


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
    for group in GROUPS:
        chosen = [name for name in group if name in names]
        found = await asyncio.gather(*(_run(name) for name in chosen))
        for result in found:
            figures = figures_table(result.name, result.figures) if result.figures else f"{result.name}: not run"
            show(f"\n{figures}\n({result.not_run or f'{result.seconds:.0f} s'})")
        results += found
    return results


async def _run(name: str) -> Result:
    began = time.monotonic()
    if importlib.util.find_spec(f"benchmarks.{name}") is None:
        return Result(name, 0, not_run="its module is not there")
    module = importlib.import_module(f"benchmarks.{name}")
    try:
        figures = await module.run()
    except UnavailableError as error:
        return Result(name, time.monotonic() - began, not_run=str(error))
    except Exception as error:
        # One that broke must not cost the figures of all others.
        traceback.print_exc()
        return Result(name, time.monotonic() - began, not_run=f"broke: {type(error).__name__}")
    return Result(name, time.monotonic() - began, figures)
