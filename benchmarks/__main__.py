"""The command line: all scenarios, or those named."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime

import click

from benchmarks import machine, results
from benchmarks.figures import table
from benchmarks.scenarios import NAMES, Result, run_all


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--save", is_flag=True, help="Write results.json though only some were named.")
@click.argument("names", nargs=-1, type=click.Choice(NAMES), metavar="[SCENARIO]...")
def main(names: tuple[str, ...], save: bool) -> None:
    """Measure, and print the figures; a target that is missed is marked. Without names: everything, and results.json.

    The exit status is 1 when a scenario broke.
    """
    sys.exit(asyncio.run(_main(names, save=save)))


async def _main(names: tuple[str, ...], *, save: bool) -> int:
    began = time.monotonic()
    described = await machine.describe()
    click.echo(", ".join(f"{name} {value}" for name, value in described.items()))
    found = await run_all(names or NAMES, click.echo)
    seconds = time.monotonic() - began
    click.echo(f"\n{_summary(found)}\n{seconds / 60:.1f} minutes")
    if save or not names:
        today = datetime.now(UTC).date().isoformat()
        results.save(results.Results(today, seconds, described, found))
    return int(any(result.not_run.startswith("broke") for result in found))


def _summary(found: list[Result]) -> str:
    """Every figure that has a target, in one table."""
    rows = [
        (result.name, figure.name, figure.shown, figure.target, figure.verdict)
        for result in found
        for figure in result.figures
        if figure.target
    ]
    return table([("scenario", "figure", "value", "target", ""), *rows])


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
