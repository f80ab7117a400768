"""The text of an element, as Telegram's Bot API gives it: same characters, same line breaks, no formatting."""

from __future__ import annotations

import re

from services.sources.preview.html_tree import Element

#: Elements that begin on a line of their own, and end it.
BLOCKS = frozenset(
    {"blockquote", "details", "div", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ol", "p", "pre", "section"}
    | {"summary", "table", "tr", "ul"}
)
#: What only the HTML's own layout breaks, a space to the reader; where a line begins or ends, once.
_SPACE, _EDGE = "\r", "\x00"
_BREAKS = re.compile(f"[{_SPACE}\n{_EDGE}]+")
_LAYOUT = re.compile(r"[\r\n]+")


def text_of(element: Element) -> str:
    """What a reader sees of the element; empty: nothing."""
    pieces: list[str] = []
    _write(element, pieces, as_it_is=False)
    return _BREAKS.sub(_shown, "".join(pieces)).strip()


def line_of(element: Element) -> str:
    """The same on one line."""
    return " ".join(text_of(element).split())


def _write(element: Element, pieces: list[str], *, as_it_is: bool) -> None:
    """The text of what is in the element; the tree is not deep, so that recursion is safe."""
    as_it_is = as_it_is or element.name == "pre"
    for child in element.children:
        if isinstance(child, str):
            pieces.append(_written(child, as_it_is=as_it_is))
        elif child.name == "br":
            pieces.append("\n")
        elif child.name == "img":
            # Emoji on old pages; other pictures have no such text.
            pieces.append(child.attributes.get("alt", "") if "emoji" in child.classes else "")
        else:
            edge = _EDGE if child.name in BLOCKS else ""
            pieces.append(edge)
            _write(child, pieces, as_it_is=as_it_is)
            pieces.append(edge)


def _written(text: str, *, as_it_is: bool) -> str:
    text = text.replace(_EDGE, "")
    if as_it_is:
        return text.replace("\r\n", "\n").replace("\r", "\n")
    if "\n" not in text and "\r" not in text:
        return text
    first, *between, last = _LAYOUT.split(text)
    lines = [first.rstrip(" \t\f"), *(line.strip(" \t\f") for line in between), last.lstrip(" \t\f")]
    return _SPACE.join(lines)


def _shown(breaks: re.Match[str]) -> str:
    """A run of breaks: Telegram's own line breaks, as many as there are; else what the layout means."""
    run = breaks[0]
    return "\n" * run.count("\n") or ("\n" if _EDGE in run else " ")
