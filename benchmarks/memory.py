"""How much memory a process has (Linux)."""

from __future__ import annotations

import re
from pathlib import Path


def rss(pid: int) -> float:
    """Resident megabytes (2²⁰ bytes)."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
