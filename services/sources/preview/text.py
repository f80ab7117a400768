"""The text of an element, as Telegram's Bot API gives it: same characters, same line breaks, no formatting."""

import re

from selectolax.lexbor import LexborNode

#: Elements that begin on a line of their own, and end it.
BLOCKS = frozenset(
    {"blockquote", "details", "div", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ol", "p", "pre", "section"}
    | {"summary", "table", "tr", "ul"}
)
HIDDEN = frozenset({"iframe", "noscript", "script", "style", "svg", "template", "textarea"})
#: Marks for a line break of the markup's own layout (a space to the reader), and for an edge of a block.
_SPACE, _EDGE = "\r", "\x00"
_BREAKS = re.compile(f"[{_SPACE}\n{_EDGE}]+")
_LAYOUT = re.compile(r"[\r\n]+")


def classes_of(element: LexborNode) -> list[str]:
    return (element.attributes.get("class") or "").split()


def text_of(element: LexborNode) -> str:
    """The element's visible text; may be empty."""
    pieces: list[str] = []
    _write(element, pieces, is_preformatted=False)
    return _BREAKS.sub(_shown, "".join(pieces)).strip()


def line_of(element: LexborNode) -> str:
    return " ".join(text_of(element).split())


def _write(element: LexborNode, pieces: list[str], *, is_preformatted: bool) -> None:
    is_preformatted = is_preformatted or element.tag == "pre"
    for child in element.iter(include_text=True):
        if child.tag == "-text":
            pieces.append(_written(child.text(), is_preformatted=is_preformatted))
        elif child.tag == "br":
            pieces.append("\n")
        elif child.tag == "img":
            # Emoji on old pages; other pictures' descriptions are not text of the post.
            pieces.append(child.attributes.get("alt") or "" if "emoji" in classes_of(child) else "")
        elif child.tag not in HIDDEN:
            edge = _EDGE if child.tag in BLOCKS else ""
            pieces.append(edge)
            _write(child, pieces, is_preformatted=is_preformatted)
            pieces.append(edge)


def _written(text: str, *, is_preformatted: bool) -> str:
    if is_preformatted or ("\n" not in text and "\r" not in text):
        return text.replace("\r", "\n")
    first, *between, last = _LAYOUT.split(text)
    lines = [first.rstrip(" \t\f"), *(line.strip(" \t\f") for line in between), last.lstrip(" \t\f")]
    return _SPACE.join(lines)


def _shown(breaks: re.Match[str]) -> str:
    """Telegram's own line breaks, all of them; without any, one break or space for the layout."""
    run = breaks[0]
    return "\n" * run.count("\n") or ("\n" if _EDGE in run else " ")
