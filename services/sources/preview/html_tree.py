"""HTML → a tree of plain values, in time and memory proportional to the text, whatever it is.

Parsers that follow browsers to the letter (Lexbor was measured: 29 s for one tag of 100,000 attributes, 7 s for 50,000
nested elements) take quadratic time, and multiply unclosed formatting. A page comes from outside: nothing of it may
cost more than its length. Written for pages that a program made: what is not closed ends with what surrounds it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from types import MappingProxyType

MOST_CHARACTERS = 5 * 2**20
MOST_ELEMENTS = 200_000
MOST_ATTRIBUTES = 200
DEEPEST = 200
#: What a page may hold of these is no part of its content.
LEFT_OUT = frozenset({"iframe", "noembed", "noframes", "noscript", "script", "style", "svg", "template", "textarea"})
VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
#: Only these are kept: nobody asks for the others, and styles are long.
KEPT = frozenset({"alt", "class", "content", "data-before", "data-post", "datetime", "href", "property"})

_TAG = re.compile(
    r"""<(?:
        !--(?:-?>|.*?(?:--!?>|\Z))
      | /(?P<end>[A-Za-z][^ \t\r\n\f/>]*+)[^>]*+>?
      | [!?/][^>]*+>?
      | (?P<start>[A-Za-z][^ \t\r\n\f/>]*+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"""[ \t\r\n\f/]*+(?:
        (?P<close>>|\Z)
      | (?P<name>[^ \t\r\n\f/>][^ \t\r\n\f/>=]*+)
        (?:[ \t\r\n\f]*+=[ \t\r\n\f]*+(?:
            "(?P<double>[^"]*+)(?:"|\Z) | '(?P<single>[^']*+)(?:'|\Z) | (?P<bare>[^ \t\r\n\f>"'][^ \t\r\n\f>]*+)
        ))?+
    )""",
    re.VERBOSE,
)
#: No character has so high a number; `html.unescape` refuses to read thousands of digits.
_NO_CHARACTER = re.compile(r"&#(?:[0-9]|[xX][0-9A-Fa-f])[0-9A-Fa-f]{9,}+;?")
_NOTHING: Mapping[str, str] = MappingProxyType({})


class MarkupError(Exception):
    """The text holds more of something than any page does; the message says of what."""


@dataclass(slots=True, eq=False)
class Element:
    """An element with what it holds, in the page's order."""

    name: str
    attributes: Mapping[str, str]
    children: list[Element | str] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """Its classes, as written."""
        return self.attributes.get("class", "").split()

    def elements(self) -> Iterator[Element]:
        """The elements right in it."""
        return (child for child in self.children if isinstance(child, Element))

    def walk(self) -> Iterator[Element]:
        """It and all elements in it, in the page's order."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend(reversed(list(element.elements())))


def read_html(html: str) -> Element:
    """The page's tree under one root without a name.

    Raises:
        MarkupError: it is larger, deeper or has more elements than any page.
    """
    if len(html) > MOST_CHARACTERS:
        raise MarkupError("the page is too long")
    tree, position = _Tree(), 0
    while (tag := _TAG.search(html, position)) is not None:
        tree.add_text(html[position : tag.start()])
        position = tag.end()
        if tag["end"]:
            tree.close(tag["end"].lower())
        elif tag["start"]:
            name = tag["start"].lower()
            attributes, position = _attributes(html, position)
            if name in LEFT_OUT:
                position = _end_of(name, html, position)
            else:
                tree.open(name, attributes)
    tree.add_text(html[position:])
    return tree.root


class _Tree:
    """The elements that are open, and what they are in."""

    def __init__(self) -> None:
        self.root = Element("", _NOTHING)
        self._open = [self.root]
        self._names: Counter[str] = Counter()
        self._elements = 0

    def add_text(self, text: str) -> None:
        if text:
            self._open[-1].children.append(_readable(text))

    def open(self, name: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        if self._elements > MOST_ELEMENTS:
            raise MarkupError("the page has too many elements")
        element = Element(name, attributes)
        self._open[-1].children.append(element)
        if name not in VOID:
            self._open.append(element)
            self._names[name] += 1
        if len(self._open) > DEEPEST:
            raise MarkupError("the page's elements are nested too deeply")

    def close(self, name: str) -> None:
        if not self._names[name]:
            return
        while (closed := self._open.pop()).name != name:
            self._names[closed.name] -= 1
        self._names[name] -= 1


def _attributes(html: str, position: int) -> tuple[Mapping[str, str], int]:
    """The kept attributes of the tag whose name ends at `position`, and where the tag ends."""
    found: dict[str, str] = {}
    for _ in range(MOST_ATTRIBUTES):
        part = _ATTRIBUTE.match(html, position)
        assert part is not None  # noqa: S101 - it matches anything, the end too
        position = part.end()
        name = part["name"]
        if name is None:
            return found or _NOTHING, position
        if (name := name.lower()) in KEPT:
            found.setdefault(name, _readable(part["double"] or part["single"] or part["bare"] or ""))
    raise MarkupError("a tag of the page has too many attributes")


def _end_of(name: str, html: str, position: int) -> int:
    """Behind the end tag of an element whose content is left out."""
    end = re.compile(rf"</{name}(?=[ \t\r\n\f/>])[^>]*+>?", re.IGNORECASE).search(html, position)
    return len(html) if end is None else end.end()


def _readable(text: str) -> str:
    return unescape(_NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", text)) if "&" in text else text
