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
    plain = unicodedata.normalize("NFKC", text).casefold().replace("ё", "е")
    words = {word for word in _WORD.findall(plain) if len(word) >= _SHORTEST}
    return frozenset(_stem(word) for word in words)


def _stem(word: str) -> str:
    return str(_stemmer("russian" if _CYRILLIC.search(word) else "english").stemWord(word))


@cache
def _stemmer(language: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(language)
