"""PURE: a tag's key, equal for spellings that a reader takes for one tag. Keys are compared, never shown."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from services.tags import russian_words
from services.tags.english_plurals import singular
from services.tags.russian_words import Reading, agree, is_russian

#: Stress marks go; typographic apostrophes and dashes become the plain ones.
_PLAIN = str.maketrans("\u2019\u02bc\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "''-------", "\u0301\u0300")
_HASH = re.compile(r"(?:^|(?<=\s))#+(?=[\w.])")
_POSSESSIVE = re.compile(r"(?<=[a-z])'s(?!\w)|(?<=[a-z])s'(?!\w)")
#: Quotes, brackets and marks; not the signs that make a word another: c++, c#, r&b, 18+, @name, 50%.
_DROPPED = re.compile(r"""["'`´«»‹›“”„()\[\]{}<>!?;|\\*…¡¿]+""")
#: Not between digits, where they change the meaning: 1,5, 10:30, 24/7.
_SEPARATOR = re.compile(r"(?<!\d)[,:/]|[,:/](?!\d)")
#: Not between digits, and not before a word: gpt-4.5, .net.
_DOT = re.compile(r"(?<=[^\W\d])\.|(?<=\d)\.(?!\d)")
_SPACES = re.compile(r"[\s_]+")
_ENGLISH = re.compile(r"[a-z]+")
#: Latin letters of other languages, and Cyrillic letters that Russian lacks.
_OTHER_LETTERS = re.compile(r"[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]|(?![а-яё])[\u0400-\u052f]")


@lru_cache(maxsize=20_000)
def tag_key(name: str) -> str:
    """The key of a tag: without case, ё, hyphens, spaces, underscores and #, its words in their dictionary forms.

    The key of a key is the key itself. Never empty, unless the name is.
    """
    seen = [name]
    while (following := _once(seen[-1])) not in seen:
        seen.append(following)
    return min(seen[seen.index(following) :])


def _once(name: str) -> str:
    plain = plain_spelling(name)
    words = split_words(plain)
    key = _joined(words if _OTHER_LETTERS.search(plain) else _lemmas(words))
    return key or "".join(plain.split()) or name


def plain_spelling(name: str) -> str:
    """In lower case, without ё, stress marks and what cannot be seen."""
    text = unicodedata.normalize("NFKC", name).casefold()
    text = unicodedata.normalize("NFKC", text).replace("ё", "е").translate(_PLAIN)
    return "".join(char for char in text if unicodedata.category(char) not in {"Cf", "Cc"} or char.isspace())


def split_words(plain: str) -> list[str]:
    """The words of a plain spelling; a hyphenated one that the dictionary has stays whole."""
    text = _POSSESSIVE.sub("s", _HASH.sub("", _SPACES.sub(" ", plain)))
    text = _DOT.sub("", _SEPARATOR.sub(" ", _DROPPED.sub("", text)))
    return [word for piece in text.split() for word in _without_hyphens(piece)]


def _without_hyphens(piece: str) -> list[str]:
    if "-" in piece and is_russian(piece) and russian_words.analyzer().word_is_known(piece):
        return [piece]
    return [word for word in piece.split("-") if word]


def _lemmas(words: Sequence[str]) -> list[str]:
    found = russian_words.phrase(words)
    lemmas = [reading.lemma.replace("-", "") for reading in _adjectives_first(found)]
    return [singular(word) if _ENGLISH.fullmatch(word) else word for word in lemmas]


def _adjectives_first(found: Sequence[Reading]) -> list[Reading]:
    """The phrase with an adjective that stands after its noun before it; no other words change places."""
    ordered = list(found)
    for index in range(1, len(ordered)):
        noun, adjective = ordered[index - 1], ordered[index]
        belongs_to_next = index + 1 < len(ordered) and agree(adjective, ordered[index + 1])
        if agree(adjective, noun) and not belongs_to_next:
            ordered[index - 1], ordered[index] = adjective, noun
    return ordered


def _joined(words: Sequence[str]) -> str:
    """Without spaces; only between two numbers a sign stays: 2 3 is not 23."""
    key = ""
    for word in words:
        key += f"-{word}" if key[-1:].isdigit() and word[:1].isdigit() else word
    return key
