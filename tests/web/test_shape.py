"""How much is in a JSON text."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from bot.web.shape import holds_more


def parts(value: Any) -> int:
    """Counted in what the text means."""
    if isinstance(value, str):
        return 1
    if isinstance(value, dict):
        return 1 + len(value) + max(len(value) - 1, 0) + sum(map(parts, value.values()))
    if isinstance(value, list):
        return 1 + max(len(value) - 1, 0) + sum(map(parts, value))
    return 0


def made(random: Random, depth: int) -> Any:
    text = "".join(random.choice('a,"\\[{Ж😀\n') for _ in range(random.randrange(6)))
    if depth == 0:
        return random.choice([text, random.random(), None])
    if random.random() < 0.5:
        return [made(random, depth - 1) for _ in range(random.randrange(4))]
    return {f"{text}{number}": made(random, depth - 1) for number in range(random.randrange(4))}


@pytest.mark.parametrize("seed", range(30))
def test_it_is_told_without_a_parser(seed: int) -> None:
    random = Random(seed)
    value = made(random, 4)
    for is_ascii in (True, False):
        text = json.dumps(value, ensure_ascii=is_ascii, indent=random.choice([None, 1])).encode()
        assert not holds_more(text, parts(value))
        assert holds_more(text, parts(value) - 1)


def test_a_text_that_breaks_off_is_gone_through_once() -> None:
    """Not anew from each quotation mark of the string that has no end."""
    for broken in (b'"' + b'\\"' * 2_000_000, b'"a\\', b'"', b"\\", b""):
        assert not holds_more(broken, 1)
    assert holds_more(b'["a", "b', 3)
