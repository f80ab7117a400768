"""PURE: what a clean tag is."""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator

from services.llm.prompts import BLANKS

MAX_TAGS = 7
MIN_LENGTH = 2
MAX_LENGTH = 50
MAX_WORDS = 5  # a longer one is a sentence of the post or of the prompt

#: Characters of a candidate that are worth looking at.
PIECE_LIMIT = 400
#: What most tags are: nothing in it is to be taken away or apart, but for what is at its ends.
_PLAIN = re.compile(r"[A-Za-z0-9а-яА-ЯёЁ -]{1,50}")
_NUMBERING = re.compile(r"^\s*\d{1,2}[.)]\s+")
# A comma between digits is a decimal one.
_SEPARATOR = re.compile(r"(?<!\d),|,(?!\d)|[;\n\r\u2028\u2029，、،]|(?<=[\s\w])[#＃﹟]+(?=\w)|\s[#＃﹟]")
_MARKUP = re.compile(r"</?[a-z][^<>]{0,200}>", re.IGNORECASE)
_STRAY_HASH = re.compile(r"(?<!\b[a-z])#|[＃﹟]")  # it stays in `c#`
_PLACEHOLDERS = frozenset({"none", "null", "n/a", "no tags", "нет тегов"})
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
_DOTTED_I = "i\u0307"  # what lower() makes of the Turkish İ
_KEPT_AT_END = re.compile(r"(?:(?<=\w)\+{1,2}|(?<=\d)%|(?:(?<=^[a-z])|(?<=\s[a-z]))#)")
_SAME_TAG = re.compile(r"[\s\-_\u2010-\u2015]+")


def clean_tags(candidates: Iterable[object]) -> tuple[str, ...]:
    """At most MAX_TAGS tags in the order given: lower case, trimmed, of 2–50 characters and at most five words,
    with a letter or digit, each once (case, spaces, hyphens and ё aside). What is not a string is ignored.
    """
    kept: dict[str, str] = {}
    for candidate in candidates:
        for tag, key in _cleaned(candidate):
            if _is_tag(tag):
                kept.setdefault(key, tag)
            if len(kept) == MAX_TAGS:
                return tuple(kept.values())
    return tuple(kept.values())


def _cleaned(candidate: object) -> Iterator[tuple[str, str]]:
    """The pieces of a candidate as they would be tags, each with its key."""
    if not isinstance(candidate, str):
        return
    if _PLAIN.fullmatch(candidate):
        tag = _clean_plain(candidate)
        yield tag, _plain_key(tag)
        return
    for piece in _pieces(candidate):
        is_plain = _PLAIN.fullmatch(piece) is not None
        tag = _clean_plain(piece) if is_plain else _clean(piece)
        yield tag, _plain_key(tag) if is_plain else _key(tag)


def _pieces(candidate: str) -> Iterator[str]:
    text = _MARKUP.sub(" ", html.unescape(candidate))
    return (piece for piece in _SEPARATOR.split(text) if len(piece) <= PIECE_LIMIT)


def _clean_plain(piece: str) -> str:
    """What `_clean` does, in a third of the time: all that can be at the ends of a plain piece are these two."""
    return " ".join(piece.lower().split()).strip(" -")


def _clean(piece: str) -> str:
    visible = unicodedata.normalize("NFC", "".join(map(_visible, piece)))
    lower = _STRAY_HASH.sub("", visible.lower().replace(_DOTTED_I, "i"))
    text = " ".join(_NUMBERING.sub("", lower).split())
    return unicodedata.normalize("NFC", _bare(unicodedata.normalize("NFC", text)))


def _visible(char: str) -> str:
    """Nothing for controls, what cannot be seen, surrogates and emoji selectors; a space for any space."""
    if char.isspace():
        return " "
    hidden = unicodedata.category(char).startswith("C") or ord(char) in _VARIATION_SELECTORS or char in BLANKS
    return "" if hidden else char


def _bare(text: str) -> str:
    """Without the quotes, punctuation and signs around it, but with those of `.net`, `c++`, `c#`, `18+`."""
    start, end = 0, len(text)
    while start < end and _is_edge(text[start]):
        start += 1
    while end > start and _is_edge(text[end - 1]):
        end -= 1
    if text[:start] == "." and text[start : start + 1].isascii() and text[start : start + 1].isalpha():
        start = 0
    suffix = _KEPT_AT_END.match(text, end)
    bare = text[start : suffix.end() if suffix else end]
    closes = "(" in bare and ")" not in bare and text[end : end + 1] == ")"
    return bare + ")" if closes else bare


def _is_edge(char: str) -> bool:
    return unicodedata.category(char)[0] in "PSZ"


def _is_tag(tag: str) -> bool:
    return (
        MIN_LENGTH <= len(tag) <= MAX_LENGTH
        and len(tag.split()) <= MAX_WORDS
        and (tag[0].isalnum() or any(map(str.isalnum, tag)))
        and tag not in _PLACEHOLDERS
    )


def _key(tag: str) -> str:
    """Equal for tags that a reader takes for the same."""
    return _SAME_TAG.sub("", unicodedata.normalize("NFKC", tag).casefold().replace("ё", "е"))


def _plain_key(tag: str) -> str:
    """`_key` of a tag that was cleaned of a plain piece, in a third of the time."""
    return tag.replace(" ", "").replace("-", "").replace("ё", "е")
