"""An export of 100,000 messages through `python -m bot import`: posts a second, and the most memory it takes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks import databases
from benchmarks.figures import Figure, UnavailableError
from benchmarks.posts import text_of
from benchmarks.processes import ROOT, ending
from services.clock import utc_now
from storage.migration.migrate import migrate

MESSAGES, FEW = 100_000, 20_000
ADMIN = databases.TELEGRAM_IDS_FROM + 1
LOOK_SECONDS = 0.02
POSTED = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Run:
    """One command: messages a second with the process's start and end, and its peak of resident memory."""

    per_second: float
    peak_mb: float


async def run() -> list[Figure]:
    """New posts, the same again, and fewer; PostgreSQL where there is one."""
    with tempfile.TemporaryDirectory() as folder:
        many, few = Path(folder) / "many.json", Path(folder) / "few.json"
        size = generate(many, MESSAGES)
        generate(few, FEW)
        async with databases.sqlite() as url:
            await _migrate(url)
            small = await _import(url, few, FEW)
        async with databases.sqlite() as url:
            await _migrate(url)
            new = await _import(url, many, MESSAGES)
            known = await _import(url, many, MESSAGES)
        other = await _on_postgresql(few)
    return _figures(size, small, new, known, other)


def generate(path: Path, messages: int) -> int:
    """An export of a channel, as Telegram Desktop writes it; its size in bytes."""
    with path.open("w", encoding="utf-8") as file:
        file.write('{\n "name": "News",\n "type": "public_channel",\n "id": 1234567890,\n "messages": [\n')
        for number in range(1, messages + 1):
            separator = "" if number == 1 else ",\n"
            file.write(separator + json.dumps(_message(number), ensure_ascii=False, indent=1))
        file.write("\n ]\n}")
    return path.stat().st_size


def _message(number: int) -> dict[str, object]:
    parts = [{"type": "bold", "text": f"№ {number}"}, {"type": "plain", "text": f" {text_of(number)}"}]
    return {
        "id": number,
        "type": "message",
        "date": "2023-11-14T22:13:20",
        "date_unixtime": str(POSTED + number),
        "from": "News",
        "from_id": "channel1234567890",
        "text": [parts[0], parts[1]["text"]],
        "text_entities": parts,
    }


async def _on_postgresql(path: Path) -> Run | None:
    with suppress(UnavailableError):
        async with databases.postgresql() as url:
            await _migrate(url)
            return await _import(url, path, FEW)
    return None


async def _migrate(url: str) -> None:
    async with databases.opened(url) as database:
        await migrate(database, now=utc_now())


async def _import(url: str, path: Path, messages: int) -> Run:
    settings = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "ADMIN_IDS": str(ADMIN)}
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "import", str(path)), cwd=ROOT, env=settings, stdout=asyncio.subprocess.PIPE
    )
    async with ending(process):
        peak = asyncio.create_task(_peak(process))
        await process.communicate()
        seconds = time.monotonic() - began
        if process.returncode:
            raise RuntimeError(f"the import ended with {process.returncode}")
        return Run(messages / seconds, await peak)


async def _peak(process: asyncio.subprocess.Process) -> float:
    """Megabytes. Of the process's own: what `wait4` tells includes that of whoever started it."""
    peak = 0.0
    while process.returncode is None:
        with suppress(OSError):
            found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())  # noqa: ASYNC240
            peak = max(peak, int(found[1]) / 1024 if found else 0)
        await asyncio.sleep(LOOK_SECONDS)
    return peak


def _figures(size: int, small: Run, new: Run, known: Run, other: Run | None) -> list[Figure]:
    counted = f"{MESSAGES:,} messages, {size / 2**20:.0f} MB, SQLite; with the start and the end of the process"
    return [
        Figure(name="new posts", value=new.per_second, unit="posts/s", at_least=5000, counted=counted),
        Figure(name="known posts", value=known.per_second, unit="posts/s", counted="the same file once more"),
        Figure(
            name="new posts, PostgreSQL",
            value=other.per_second if other else None,
            unit="posts/s",
            counted=f"{FEW:,} messages",
        ),
        Figure(
            name="peak memory",
            value=max(new.peak_mb, known.peak_mb),
            unit="MB",
            at_most=150,
            counted=f"resident, looked at each {1000 * LOOK_SECONDS:.0f} ms",
        ),
        Figure(
            name="peak memory to that of a fifth",
            value=new.peak_mb / small.peak_mb,
            unit="×",
            floor="1: however long the file",
            at_most=1.1,
            counted=f"{MESSAGES:,} messages to {FEW:,}",
        ),
    ]
