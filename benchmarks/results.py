"""`results.json`: the last run of all scenarios, and what it ran on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.scenarios import Result

PATH = Path(__file__).with_name("results.json")


@dataclass(frozen=True, slots=True)
class Results:
    """A run: its date, the seconds it took in all, the machine, and what the scenarios gave."""

    date: str
    seconds: float
    machine: dict[str, str]
    scenarios: Sequence[Result]


def save(results: Results, path: Path = PATH) -> None:
    """Write the file."""
    path.write_text(json.dumps(_rounded(asdict(results)), ensure_ascii=False, indent=2) + "\n")


def load(path: Path = PATH) -> Results:
    """Read the file."""
    raw = json.loads(path.read_text())
    scenarios = [
        Result(**{**one, "figures": [Figure(**figure) for figure in one["figures"]]}) for one in raw.pop("scenarios")
    ]
    return Results(**raw, scenarios=scenarios)


def _rounded(value: Any) -> Any:
    """No more digits than a measurement has."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value
