"""Telegram's HTML: parsed into text and entities, and rendered again for the chat page."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

from sandbox.telegram.errors import bad_request

Entity = dict[str, Any]

TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "code": "code",
    "pre": "pre",
    "a": "text_link",
    "blockquote": "blockquote",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "tg-emoji": "custom_emoji",
}
NAMED = {"&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"'}

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)((?:\s+[^<>]*)?)\s*>")
_ATTRIBUTE = re.compile(r"""([a-zA-Z-]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+))?""")
_CHARACTER = re.compile(r"&(?:lt|gt|amp|quot|#\d{1,7}|#x[0-9a-fA-F]{1,6});")
_FOUND = (
    ("bot_command", re.compile(r"(?<![\w/<>.:])/[A-Za-z0-9_]{1,64}(?:@\w+)?(?![\w/])")),
    ("hashtag", re.compile(r"(?<![\w&#])#\w*[^\W\d]\w*")),
    ("url", re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)\]]")),
    ("mention", re.compile(r"(?<![\w@/])@[A-Za-z]\w{3,31}")),
)
# Telegram detects no commands and hashtags inside these.
_OPAQUE = {"code", "pre", "text_link", "custom_emoji", "url"}


@dataclass(frozen=True)
class _Open:
    tag: str
    offset: int
    attributes: dict[str, str]


def utf16_len(text: str) -> int:
    """Length in UTF-16 units, as Telegram counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def parse_html(source: str) -> tuple[str, list[Entity]]:
    """Text and entities of a message in HTML parse mode; raises ApiError as Telegram does.

    A bare '&' is an error too, unlike in Telegram: it reveals a text that was not escaped.
    """
    out: list[str] = []
    length, at = 0, 0
    stack: list[_Open] = []
    entities: list[Entity] = []
    while at < len(source):
        char = source[at]
        if char == "<":
            found = _tag_at(source, at)
            _apply(found, stack, entities, length, _byte(source, at))
            at = found.end()
            continue
        piece, step = _character_at(source, at) if char == "&" else (char, 1)
        out.append(piece)
        length += utf16_len(piece)
        at += step
    if stack:
        raise _cannot_parse(f'can\'t find end tag corresponding to start tag "{stack[-1].tag}"')
    return "".join(out), _sorted(entities)


def _tag_at(source: str, at: int) -> re.Match[str]:
    found = _TAG.match(source, at)
    if found is None:
        name = re.match(r"</?([^\s>]*)", source[at:])
        raise _cannot_parse(f'unsupported start tag "{name[1] if name else ""}" at byte offset {_byte(source, at)}')
    return found


def _character_at(source: str, at: int) -> tuple[str, int]:
    found = _CHARACTER.match(source, at)
    if found is None:
        raise _cannot_parse(f"unescaped '&' at byte offset {_byte(source, at)}")
    return NAMED.get(found[0]) or html.unescape(found[0]), len(found[0])


def _apply(found: re.Match[str], stack: list[_Open], entities: list[Entity], length: int, byte: int) -> None:
    tag = found[2].lower()
    if not found[1]:
        stack.append(_Open(tag, length, _checked(tag, _attributes(found[3]), byte)))
        return
    if not stack:
        raise _cannot_parse(f"unexpected end tag at byte offset {byte}")
    opened = stack.pop()
    if opened.tag != tag:
        raise _cannot_parse(f'unmatched end tag at byte offset {byte}, expected "</{opened.tag}>", found "</{tag}>"')
    entity = _entity(opened, length)
    if entity is not None:
        entities.append(entity)


def _attributes(source: str) -> dict[str, str]:
    return {name.lower(): html.unescape(value.strip("\"'")) for name, value in _ATTRIBUTE.findall(source or "")}


def _checked(tag: str, attributes: dict[str, str], byte: int) -> dict[str, str]:
    if tag not in TAGS:
        raise _cannot_parse(f'unsupported start tag "{tag}" at byte offset {byte}')
    if tag == "span" and attributes.get("class") != "tg-spoiler":
        raise _cannot_parse(f'tag "span" must have class "tg-spoiler" at byte offset {byte}')
    return attributes


def _entity(opened: _Open, end: int) -> Entity | None:
    if end == opened.offset:
        return None
    kind = TAGS[opened.tag]
    if kind == "blockquote" and "expandable" in opened.attributes:
        kind = "expandable_blockquote"
    entity: Entity = {"type": kind, "offset": opened.offset, "length": end - opened.offset}
    if kind == "text_link":
        if not opened.attributes.get("href"):
            return None
        entity["url"] = opened.attributes["href"]
    if kind == "custom_emoji":
        entity["custom_emoji_id"] = opened.attributes.get("emoji-id", "")
    if kind == "code" and opened.attributes.get("class", "").startswith("language-"):
        entity["language"] = opened.attributes["class"].removeprefix("language-")
    return entity


def trimmed(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Text and entities without white space at the ends, as Telegram stores them."""
    lead = utf16_len(text) - utf16_len(text.lstrip())
    kept = text.strip()
    size = utf16_len(kept)
    moved = []
    for entity in entities:
        start = max(0, entity["offset"] - lead)
        end = min(size, entity["offset"] + entity["length"] - lead)
        if end > start:
            moved.append({**entity, "offset": start, "length": end - start})
    return kept, moved


def detected(text: str, entities: list[Entity]) -> list[Entity]:
    """The entities with the commands, hashtags, links and mentions that Telegram detects."""
    busy = [(e["offset"], e["offset"] + e["length"]) for e in entities if e["type"] in _OPAQUE]
    found = list(entities)
    for kind, pattern in reversed(_FOUND):
        for match in pattern.finditer(text):
            start = utf16_len(text[: match.start()])
            end = start + utf16_len(match[0])
            if all(end <= left or start >= right for left, right in busy):
                found.append({"type": kind, "offset": start, "length": end - start})
                busy.append((start, end))
    return _sorted(found)


def to_html(text: str, entities: list[Entity]) -> str:
    """The message as HTML; nested entities stay nested."""
    units = text.encode("utf-16-le", "surrogatepass")
    marks = sorted({0, len(units) // 2, *(e["offset"] for e in entities), *(_end(e) for e in entities)})
    return _written(units, marks, entities)


def _written(units: bytes, marks: list[int], entities: list[Entity]) -> str:
    out: list[str] = []
    stack: list[Entity] = []
    for at, following in zip(marks, [*marks[1:], None], strict=True):
        while stack and _end(stack[-1]) <= at:
            out.append(_pair(stack.pop())[1])
        for entity in (e for e in _sorted(entities) if e["offset"] == at and e["length"] > 0):
            out.append(_pair(entity)[0])
            stack.append(entity)
        if following is not None:
            piece = units[at * 2 : following * 2].decode("utf-16-le", "replace")
            out.append(html.escape(piece, quote=False))
    return "".join(out)


def _pair(entity: Entity) -> tuple[str, str]:
    kind = entity["type"]
    simple = {
        "bold": "b",
        "italic": "i",
        "underline": "u",
        "strikethrough": "s",
        "code": "code",
        "pre": "pre",
        "blockquote": "blockquote",
        "spoiler": "tg-spoiler",
    }
    if kind in simple:
        return f"<{simple[kind]}>", f"</{simple[kind]}>"
    if kind == "expandable_blockquote":
        return "<blockquote expandable>", "</blockquote>"
    if kind == "text_link":
        return f'<a href="{html.escape(entity["url"])}">', "</a>"
    return "", ""


def _end(entity: Entity) -> int:
    return int(entity["offset"]) + int(entity["length"])


def _sorted(entities: list[Entity]) -> list[Entity]:
    return sorted(entities, key=lambda e: (e["offset"], -e["length"]))


def _byte(source: str, at: int) -> int:
    return len(source[:at].encode("utf-8", "surrogatepass"))


def _cannot_parse(why: str) -> Exception:
    return bad_request(f"can't parse entities: {why}")
