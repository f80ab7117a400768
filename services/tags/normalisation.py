"""PURE: candidates from a model's answer → clean tags."""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator

from services.text import is_blank

MAX_TAGS = 7
MIN_LENGTH = 2
MAX_LENGTH = 50
MAX_WORDS = 5  # a longer one is a sentence of the post or of the prompt

#: A longer piece of a candidate is dropped unread.
PIECE_LIMIT = 400
_NUMBERING = re.compile(r"^\s*\d{1,2}[.)]\s+")
# A comma between digits is a decimal one.
_SEPARATOR = re.compile(r"(?<!\d),|,(?!\d)|[;\n\r\u2028\u2029，、،]|(?<=[\s\w])[#＃﹟]+(?=\w)|\s[#＃﹟]")
_MARKUP = re.compile(r"</?[a-z][^<>]{0,200}>", re.IGNORECASE)
_STRAY_HASH = re.compile(r"(?<!\b[a-z])#|[＃﹟]")  # `c#` keeps its hash
_PLACEHOLDERS = frozenset({"none", "null", "n/a", "no tags", "нет тегов"})
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
_DOTTED_I = "i\u0307"  # str.lower() of the Turkish İ
_KEPT_AT_END = re.compile(r"(?:(?<=\w)\+{1,2}|(?<=\d)%|(?:(?<=^[a-z])|(?<=\s[a-z]))#)")
_SAME_TAG = re.compile(r"[\s\-_\u2010-\u2015]+")


def clean_tags(candidates: Iterable[object], most: int = MAX_TAGS) -> tuple[str, ...]:
    """At most `most` tags in the order given, each once (case, spaces, hyphens and ё aside), in lower case."""
    kept: dict[str, str] = {}
    for candidate in candidates:
        for piece in _pieces(candidate) if isinstance(candidate, str) else ():
            tag = _clean(piece)
            if _is_tag(tag):
                kept.setdefault(_key(tag), tag)
            if len(kept) == most:
                return tuple(kept.values())
    return tuple(kept.values())


def _pieces(candidate: str) -> Iterator[str]:
    text = _MARKUP.sub(" ", html.unescape(candidate))
    return (piece for piece in _SEPARATOR.split(text) if len(piece) <= PIECE_LIMIT)


def _clean(piece: str) -> str:
    visible = unicodedata.normalize("NFC", "".join(map(_visible, piece)))
    lower = _STRAY_HASH.sub("", visible.lower().replace(_DOTTED_I, "i"))
    text = " ".join(_NUMBERING.sub("", lower).split())
    return unicodedata.normalize("NFC", _stripped(unicodedata.normalize("NFC", text)))


def _visible(char: str) -> str:
    if char.isspace():
        return " "
    hidden = unicodedata.category(char).startswith("C") or ord(char) in _VARIATION_SELECTORS or is_blank(char)
    return "" if hidden else char


def _stripped(text: str) -> str:
    """Without the quotes, punctuation and signs around it, except those of `.net`, `c++`, `c#`, `18+`."""
    start, end = 0, len(text)
    while start < end and _is_edge(text[start]):
        start += 1
    while end > start and _is_edge(text[end - 1]):
        end -= 1
    if text[:start] == "." and text[start : start + 1].isascii() and text[start : start + 1].isalpha():
        start = 0
    suffix = _KEPT_AT_END.match(text, end)
    stripped = text[start : suffix.end() if suffix else end]
    closes = "(" in stripped and ")" not in stripped and text[end : end + 1] == ")"
    return stripped + ")" if closes else stripped


def _is_edge(char: str) -> bool:
    return unicodedata.category(char)[0] in "PSZ"


def _is_tag(tag: str) -> bool:
    return (
        MIN_LENGTH <= len(tag) <= MAX_LENGTH
        and len(tag.split()) <= MAX_WORDS
        and any(map(str.isalnum, tag))
        and tag not in _PLACEHOLDERS
    )


def _key(tag: str) -> str:
    """Equal for tags that a reader takes for the same."""
    return _SAME_TAG.sub("", unicodedata.normalize("NFKC", tag).casefold().replace("ё", "е"))
