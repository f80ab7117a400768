"""Put the figures of `results.json` into docs/performance.md, between its two marks.

.venv/bin/python -m benchmarks.report
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import ROOT
from benchmarks.results import Results, load

DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: written by python -m benchmarks.report -->", "<!-- end of figures -->"


def rewrite(document: Path, results: Results) -> None:
    """Replace what stands between the marks."""
    before, begin, rest = document.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document.name} has not both marks: {BEGIN} {END}")
    document.write_text("\n".join([before + BEGIN, "", *_lines(results), END]) + after)


def _lines(results: Results) -> Iterator[str]:
    yield f"Run on {results.date}, {results.seconds / 60:.1f} minutes."
    yield ", ".join(f"{name} {value}" for name, value in results.machine.items()) + "."
    yield ""
    yield "| scenario | figure | value | target | | compared with |"
    yield "|---|---|---|---|---|---|"
    for scenario in results.scenarios:
        if scenario.not_run:
            yield f"| {scenario.name} | not run: {scenario.not_run} | | | | |"
        for figure in scenario.figures:
            cells = (scenario.name, figure.name, figure.shown, figure.target, figure.verdict, figure.floor)
            yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


if __name__ == "__main__":
    rewrite(DOCUMENT, load())
