"""A model that does what the texts of posts tell it: a post's order puts tags on the other posts of its request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox.provider.finding import Asked

_ORDER = re.compile(
    r"(?:add|put|добав\w+|постав\w+)\s+(?:the\s+)?(?:tags?|тег\w*)\s+(.+?)\s+(?:to|on|ко?|на)\s+"
    r"(?:all|every|всем|каждому|все)\s+(?:other\s+|другим\s+|остальным\s+)?(?:posts?|постам|посту|посты)",
    re.IGNORECASE | re.DOTALL,
)
_BETWEEN = re.compile(r"\s*(?:,|\band\b|\bи\b)\s*")


@dataclass(frozen=True)
class Order:
    """A text with `marker` puts `tags` on each `every`-th other post, which keeps so many tags of its own."""

    marker: str
    tags: tuple[str, ...]
    keeps: int = 1
    every: int = 1


class Obedience:
    """The orders that the model follows: those given here, and with `reads` those it finds in the texts."""

    def __init__(self) -> None:
        self.reads = False
        self.orders: list[Order] = []

    def obeyed(self, posts: Sequence[Asked], tags: Mapping[int, list[str]]) -> dict[int, list[str]]:
        """The tags of each post as the orders of the others leave them."""
        given = {number: list(own) for number, own in tags.items()}
        for post in posts:
            for order in self._of(post.text):
                others = [other.number for other in posts if other.number != post.number]
                given[post.number] = list(dict.fromkeys([*order.tags, *given[post.number]]))
                for number in others[:: order.every]:
                    kept = [tag for tag in given[number] if tag not in tags[number]] + tags[number][: order.keeps]
                    given[number] = list(dict.fromkeys([*kept, *order.tags]))
        return given

    def _of(self, text: str) -> list[Order]:
        found = [order for order in self.orders if order.marker in text]
        if not self.reads:
            return found
        ordered = (_BETWEEN.split(match[1]) for match in _ORDER.finditer(text))
        return found + [Order(text, tuple(tag.strip(" #\"'«»").lower() for tag in tags)) for tags in ordered]
