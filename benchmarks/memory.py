"""How much memory a process has (Linux)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes (2²⁰ bytes): resident, and what of that is its own when shared pages are divided among their users."""

    rss: float
    pss: float


def memory(pid: int) -> Memory:
    """What it has now."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = dict(re.findall(r"^(Rss|Pss): +(\d+) kB$", rollup, re.MULTILINE))
    return Memory(int(found["Rss"]) / 1024, int(found["Pss"]) / 1024)
