"""As much of YAML as deploy/ uses: maps, lists, plain and double-quoted words, `>-`, comments. Strict otherwise."""

from __future__ import annotations

import json
import re
from typing import Any

#: Indent and text of each line that says something.
Lines = list[tuple[int, str]]


def read_yaml(text: str) -> Any:
    """The value; fails for what it does not know."""
    assert "\t" not in text
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in text.splitlines()]
    lines = [(indent, line) for indent, line in lines if line and not line.startswith("#")]
    value = _block(lines, lines[0][0])
    assert not lines, lines[0]
    return value


def _block(lines: Lines, indent: int) -> Any:
    return _list(lines, indent) if lines[0][1].startswith("- ") else _map(lines, indent)


def _list(lines: Lines, indent: int) -> list[Any]:
    items = []
    while lines and lines[0][0] == indent and lines[0][1].startswith("- "):
        rest = lines[0][1][2:]
        if re.match(r"\w+:", rest):
            # A map whose first key stands behind the dash.
            lines[0] = (indent + 2, rest)
            items.append(_map(lines, indent + 2))
        else:
            lines.pop(0)
            items.append(_scalar(rest))
    return items


def _map(lines: Lines, indent: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while lines and lines[0][0] == indent and not lines[0][1].startswith("- "):
        key, colon, rest = lines.pop(0)[1].partition(":")
        assert colon, key
        assert re.fullmatch(r"\w+", key), key
        assert key not in found, key
        found[key] = _value(lines, indent, rest.strip())
    assert not lines or lines[0][0] <= indent, lines[0]
    return found


def _value(lines: Lines, indent: int, rest: str) -> Any:
    if rest == ">-":
        folded = []
        while lines and lines[0][0] > indent:
            folded.append(lines.pop(0)[1])
        return " ".join(folded)
    if rest:
        return _scalar(rest)
    assert lines
    assert lines[0][0] > indent, lines[0]
    return _block(lines, lines[0][0])


def _scalar(text: str) -> Any:
    if text[0] in '"[':
        return json.loads(text)
    # A plain word may hold none of what would begin something else.
    assert text[0] not in "'{&*!|>%@`", text
    assert ": " not in text, text
    assert " #" not in text, text
    return text
