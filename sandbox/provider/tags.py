"""The tags that the provider gives to a text, so that tests can recognise them."""

from __future__ import annotations

import re
from collections import Counter

CUT = 2000
NOTHING = ["misc"]
_WORD = re.compile(r"[^\W\d_]+")
_LINK = re.compile(r"https?://\S+|@\w+")
_CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
_LATIN = re.compile(r"[a-z]", re.IGNORECASE)
_STOP_WORDS = """
this that with from have been were will would could should their there these those which about after before
into over than then them they what when where while your more most some such only also just если чтобы когда
который которая которые которое этот этого этой были было будет быть можно нужно после перед через более
менее также только даже уже него неё ними свой своих своей сейчас потом очень всего всех каждый между около
либо или тоже того тому где как что для при без под над
"""
_STOP = frozenset(_STOP_WORDS.split())


def expected_tags(text: str) -> list[str]:
    """Three to five words of the text: the most frequent, then the longest, no two similar."""
    words = _words(text)
    counts = Counter(words)
    ranked = sorted(counts, key=lambda word: (-counts[word], -len(word), words.index(word)))
    tags: list[str] = []
    for shortest in (4, 2):
        for word in ranked:
            if len(tags) < (5 if shortest == 4 else 3) and _fits(word, shortest, tags):
                tags.append(word)
    return tags or NOTHING


def _words(text: str) -> list[str]:
    plain = _LINK.sub(" ", text.strip()[:CUT]).lower()
    script = _CYRILLIC if len(_CYRILLIC.findall(plain)) * 2 >= len(_LATIN.findall(plain)) else _LATIN
    if not script.search(plain):
        return _WORD.findall(plain)
    return [word for word in _WORD.findall(plain) if script.match(word)]


def _fits(word: str, shortest: int, tags: list[str]) -> bool:
    # Metka may join tags with a common stem, so no two of these begin alike.
    long_enough = shortest <= len(word) <= 24 and word not in _STOP
    return long_enough and all(word[:4] != tag[:4] for tag in tags)
