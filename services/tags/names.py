"""PURE: how a tag is shown: its first spelling, in the nominative."""

import re
from collections.abc import Sequence
from itertools import chain, zip_longest

from services.tags import russian_words
from services.tags.keys import tag_key
from services.tags.russian_words import Reading

_BETWEEN = re.compile(r"([ -])")


def tag_name(spelling: str) -> str:
    """The name of a new tag: `нейронных_сетей` → нейронные сети. A word that the dictionary lacks stays as written."""
    name = " ".join(spelling.replace("_", " ").split()) or spelling
    words, signs = _split(name)
    nominative = "".join(chain(*zip_longest(_nominative(words), signs, fillvalue="")))
    return nominative if nominative != name and tag_key(nominative) == tag_key(spelling) else name


def _split(name: str) -> tuple[list[str], list[str]]:
    """The words, and what stands between them; a hyphenated word that the dictionary has is one."""
    pieces = _BETWEEN.split(name)
    words, signs = pieces[:1], list[str]()
    for sign, word in zip(pieces[1::2], pieces[2::2], strict=True):
        if sign == "-" and russian_words.analyzer().word_is_known(f"{words[-1]}-{word}"):
            words[-1] += f"-{word}"
        else:
            signs.append(sign)
            words.append(word)
    return words, signs


def _nominative(words: Sequence[str]) -> list[str]:
    readings = russian_words.phrase(words)
    head = next((place for place, reading in enumerate(readings) if reading.part in {"NOUN", "PREP"}), None)
    if head is None or readings[head].case in {None, "nomn"}:
        return list(words)
    noun = readings[head]
    # The noun with the adjectives before it, or one after it, that are in its case.
    first = head
    while first > 0 and readings[first - 1].part == "ADJF" and readings[first - 1].case == noun.case:
        first -= 1
    last = head + 1
    if last < len(words) and russian_words.agree(readings[last], noun):
        last += 1
    changed = [_to_nominative(words[place], readings[place], noun) for place in range(first, last)]
    return [*words[:first], *changed, *words[last:]]


def _to_nominative(word: str, reading: Reading, noun: Reading) -> str:
    if not reading.known or not russian_words.is_russian(word):
        return word
    return russian_words.inflect(word, reading, {"nomn", noun.number or "sing"})
