"""Jobs that do nothing on procrastinate.

    python -m benchmarks.peers.procrastinate_jobs URL defer COUNT
    python -m benchmarks.peers.procrastinate_jobs URL work CONCURRENCY

A worker prints a line when it stands ready, begins at a line from stdin, and ends when no job is left.
"""

from __future__ import annotations

import asyncio
import sys

import procrastinate


async def nothing(number: int) -> None:
    """A job of its own argument."""


def make_app(url: str) -> procrastinate.App:
    """The application as its documentation builds it."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
    app.task(name="nothing")(nothing)
    return app


async def main(url: str, what: str, number: int) -> None:
    """Defer jobs, or work them off."""
    app = make_app(url)
    async with app.open_async():
        if what == "defer":
            await app.schema_manager.apply_schema_async()
            await app.configure_task("nothing").batch_defer_async(*({"number": n} for n in range(number)))
        else:
            await _work(app, number)


async def _work(app: procrastinate.App, concurrency: int) -> None:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await app.run_worker_async(concurrency=concurrency, wait=False)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
