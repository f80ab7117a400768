"""PURE: whether the tags under a post's number can be that post's.

A model that leaves a post out may renumber the rest. Tags that share words with another post of the request, but none
with their own, count as the other's.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence

_WORD = re.compile(r"\w+")
#: The first characters of a word, which inflection mostly leaves alone. word_forms also finds words by chance: with it
#: fewer swapped numbers are noticed.
_STEM = 5
#: This many tags in another post's text, and none in its own, make tags suspicious.
_ENOUGH = 2
_SEVERAL = 2


def counted_otherwise(numbers: Collection[int], count: int) -> bool:
    """Whether the model did not count from 1, so that every number is another post's."""
    if count == 1 or not numbers:
        return False
    first = min(numbers)
    return first < 1 or (first > 1 and max(numbers) > count)


def doubtful(tags: Mapping[int, Sequence[str]], texts: Sequence[str], *, cut: bool) -> set[int]:
    """The post numbers (from 1) whose tags are more likely another post's.

    `cut`: the answer ran into its token limit, so that the last posts are missing.
    """
    stems = {number: _stems(text) for number, text in enumerate(texts, start=1)}
    if not cut and _may_be_renumbered(tags, stems):
        return set(tags)
    suspicious = {number for number, given in tags.items() if _speaks_of_another(number, given, stems)}
    if len(suspicious) < _SEVERAL:
        return suspicious
    # Tags that fit may do so by chance: a word that several of the posts have.
    return set(tags)


def _may_be_renumbered(tags: Mapping[int, Sequence[str]], stems: Mapping[int, set[str]]) -> bool:
    if not tags or len(tags) == len(stems) or max(tags) != len(tags):
        return False
    fitting = sum(any(_stems(tag) & stems[number] for tag in given) for number, given in tags.items())
    return fitting * 2 < len(tags)


def _speaks_of_another(number: int, tags: Sequence[str], stems: Mapping[int, set[str]]) -> bool:
    wanted = [_stems(tag) for tag in tags]
    if any(each & stems[number] for each in wanted):
        return False
    enough = min(_ENOUGH, len(wanted))
    return any(sum(bool(each & others) for each in wanted) >= enough for at, others in stems.items() if at != number)


def _stems(text: str) -> set[str]:
    plain = unicodedata.normalize("NFKC", text).casefold().replace("ё", "е")
    return {word[:_STEM] for word in _WORD.findall(plain)}
