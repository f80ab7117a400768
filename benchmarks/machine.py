"""What the figures were measured on, without anything that tells whose machine it is."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sqlite3
import subprocess
from pathlib import Path

import asyncpg

from benchmarks.databases import POSTGRES
from benchmarks.processes import PEERS_PYTHON

PACKAGES = ("aiogram", "aiohttp", "asyncpg", "fastapi", "sqlalchemy", "uvicorn")
PEERS = ("litellm", "procrastinate", "psycopg")


async def describe() -> dict[str, str]:
    """Names and values for people to read."""
    return {
        "CPU": _found("/proc/cpuinfo", r"^model name\s*: (.+)$") or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "system": _system(),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": await _postgresql(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        **_peers(),
    }


def _found(path: str, pattern: str) -> str | None:
    try:
        found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    except OSError:
        return None
    return found[1] if found else None


def _memory() -> str:
    kilobytes = _found("/proc/meminfo", r"^MemTotal: +(\d+)")
    return f"{int(kilobytes) / 2**20:.0f} GiB" if kilobytes else "unknown"


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


async def _postgresql() -> str:
    try:
        connection = await asyncpg.connect(POSTGRES, timeout=10)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return "none"
    try:
        return str(await connection.fetchval("SHOW server_version")).split()[0]
    finally:
        await connection.close()


def _peers() -> dict[str, str]:
    if not PEERS_PYTHON.exists():
        return {}
    program = f"from importlib.metadata import version; print(*map(version, {PEERS!r}))"
    printed = subprocess.run([PEERS_PYTHON, "-c", program], capture_output=True, text=True, check=True).stdout
    return dict(zip(PEERS, printed.split(), strict=True))
