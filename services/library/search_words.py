"""PURE: what of a post can be found, and what a query asks for, as numbers: the same for both databases.

A word's number is the checksum of its stem: the index stays small, and any character can stand in a tag. Two words in a
million share a number, and then a post too many is found.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from zlib import crc32

import Stemmer

#: Longer texts are no posts of Telegram's, whose messages have 4,096 characters.
TEXT_LIMIT = 10_000
QUERY_LIMIT = 200
_WORD = re.compile(r"[^\W_]+")
_TAG_BREAK = re.compile(r"[\s_\-\u2010-\u2015]+")
_CYRILLIC = re.compile("[а-я]+")
_LATIN = re.compile("[a-z]+")
_NOT_IN_NAME = re.compile(r"[^\w-]")
_SINCE = re.compile(r"([12]\d{3})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", re.ASCII)


class SinceError(ValueError):
    """What follows `since:` is no year, month or day."""


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What a post must have and must not have. `channels`: public names in lower case, of which one must be its own."""

    words: frozenset[int] = frozenset()
    without: frozenset[int] = frozenset()
    channels: frozenset[str] = frozenset()
    without_channels: frozenset[str] = frozenset()
    since: date | None = None

    @property
    def is_empty(self) -> bool:
        return self == SearchQuery()


class Stems:
    """Stems of words. Not to be used by two threads at once."""

    def __init__(self) -> None:
        self._russian = Stemmer.Stemmer("russian")
        self._english = Stemmer.Stemmer("english")

    def of(self, text: str) -> list[str]:
        return [self._stem(word) for word in _WORD.findall(_plain(text))]

    def of_tag(self, tag: str) -> str:
        """A tag's words as one: `нейронные сети`, `#Нейронная_сеть`. Signs stay: `c++` is not `c#`."""
        return "#" + "".join(self._stem(word) for word in _TAG_BREAK.split(_plain(tag)))

    def _stem(self, word: str) -> str:
        if _CYRILLIC.fullmatch(word):
            return str(self._russian.stemWord(word))
        return str(self._english.stemWord(word)) if _LATIN.fullmatch(word) else word


def post_numbers(stems: Stems, user_id: int, channel_id: int, text: str, tags: Collection[str]) -> list[int]:
    """All that a post is found by, in ascending order."""
    words: set[str] = {user_word(user_id), channel_word(channel_id)}
    words.update(stems.of(text[:TEXT_LIMIT]))
    for tag in tags:
        words.update(stems.of(tag))
        words.add(stems.of_tag(tag))
    return sorted(set(map(number, words)))


def user_word(user_id: int) -> str:
    return f"user {user_id}"


def channel_word(channel_id: int) -> str:
    return f"channel {channel_id}"


def number(word: str) -> int:
    """32 bits, signed, as PostgreSQL's integer."""
    return crc32(word.encode("utf-8", "surrogatepass")) - 2**31


def tag_numbers(tags: Iterable[str]) -> list[int]:
    stems = Stems()
    return [number(stems.of_tag(tag)) for tag in tags]


def read_query(text: str) -> SearchQuery:
    """Words, #tags, @channels, each with - to leave out, and since:2026, since:2026-01 or since:2026-01-31.

    Raises:
        SinceError: the day does not exist, or is none.
    """
    stems = Stems()
    words: dict[bool, set[str]] = {True: set(), False: set()}
    channels: dict[bool, set[str]] = {True: set(), False: set()}
    since: date | None = None
    for part in text[:QUERY_LIMIT].split():
        is_wanted, bare = not part.startswith("-"), part.lstrip("-")
        if bare.lower().startswith("since:"):
            since = _since(bare[len("since:") :])
        elif bare.startswith("@"):
            channels[is_wanted].update([name] if (name := _NOT_IN_NAME.sub("", bare).lower()) else [])
        else:
            words[is_wanted].update(_words(stems, bare))
    return SearchQuery(
        frozenset(map(number, words[True])),
        frozenset(map(number, words[False])),
        frozenset(channels[True]),
        frozenset(channels[False]),
        since,
    )


def _words(stems: Stems, part: str) -> Iterator[str]:
    if part.startswith("#") and part.strip("#"):
        yield stems.of_tag(part.lstrip("#").rstrip(".,;:!?"))
    else:
        yield from stems.of(part)


def _since(text: str) -> date:
    match = _SINCE.fullmatch(text)
    if match is None:
        raise SinceError(text)
    year, month, day = match.groups()
    try:
        return date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        raise SinceError(text) from None


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower().replace("ё", "е")
