"""Requests like the bot's own, made from one that it sent. Standard library only: the peers' programs use it too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.posts import text_of


def bodies(example: dict[str, Any], posts: int) -> Iterator[dict[str, Any]]:
    """The request about each post: all else is the example's."""
    system, user = example["messages"]
    start, _, rest = user["content"].partition("Новости, код")
    end = rest[rest.rindex("\n") :] if "\n" in rest else ""
    for number in range(1, posts + 1):
        yield {**example, "messages": [system, {"role": "user", "content": f"{start}{text_of(number)}{end}"}]}
