"""What a scenario gives: figures, each with what it is compared with and how it was counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class UnavailableError(Exception):
    """A scenario needs something that this machine has not; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value.

    `value` is None when a peer is not installed. `floor` is what it is compared with, in words; at most one of
    `at_most` and `at_least` is its target. `counted` says what was counted, and with which settings.
    """

    name: str
    value: float | None
    unit: str
    counted: str
    floor: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None without a target or a value."""
        if self.value is None or (self.at_most is None and self.at_least is None):
            return None
        above = self.at_least is None or self.value >= self.at_least
        return above and (self.at_most is None or self.value <= self.at_most)

    @property
    def target(self) -> str:
        """The target in signs: '≤ 1.2'."""
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return f"≥ {self.at_least:g}" if self.at_least is not None else ""

    @property
    def shown(self) -> str:
        """The value with its unit."""
        if self.value is None:
            return "not measured"
        size = abs(self.value)
        digits = 0 if size >= 1000 or self.value == int(self.value) else 1 if size >= 100 else 2 if size >= 1 else 3
        return f"{self.value:,.{digits}f} {self.unit}".rstrip()

    @property
    def verdict(self) -> str:
        """'ok', 'MISSED' or nothing."""
        return {True: "ok", False: "MISSED", None: ""}[self.met]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns of plain text."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in padded)


def figures_table(scenario: str, figures: Sequence[Figure]) -> str:
    """The figures of a scenario for the terminal."""
    heads = (scenario, "value", "target", "", "compared with")
    return table([heads, *((f.name, f.shown, f.target, f.verdict, f.floor) for f in figures)])
