"""PURE: word stems, by which the tags near to a text are found. Too coarse to tell tags apart: that is `keys`."""

import re
import unicodedata
from functools import cache

import Stemmer

_WORD = re.compile(r"[^\W_]+(?:[+#]+)?")
_CYRILLIC = re.compile(r"[а-я]")
#: A shorter word is a function word, unless it has a digit or a sign: 5g, c++.
_SHORTEST = 2


def stems(text: str) -> frozenset[str]:
    return frozenset(_stem(word) for word in set(_words(text)))


def says(text: str, tag: str) -> bool:
    """Whether the text has the tag's words one after another, in any form."""
    wanted, there = [_stem(word) for word in _words(tag)], [_stem(word) for word in _words(text)]
    return any(there[at : at + len(wanted)] == wanted for at in range(len(there) - len(wanted) + 1))


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold().replace("ё", "е")
    return [word for word in _WORD.findall(plain) if len(word) >= _SHORTEST]


def _stem(word: str) -> str:
    return str(_stemmer("russian" if _CYRILLIC.search(word) else "english").stemWord(word))


@cache
def _stemmer(language: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(language)
