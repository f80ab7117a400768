"""PURE: how a tag is shown: its first spelling, in the nominative."""

from collections.abc import Sequence

from services.tags import russian_words
from services.tags.keys import tag_key
from services.tags.russian_words import Reading


def tag_name(spelling: str) -> str:
    """The name of a new tag: `нейронных_сетей` → нейронные сети. A word that the dictionary lacks stays as written."""
    words = spelling.replace("_", " ").split()
    name = " ".join(words) or spelling
    nominative = " ".join(_nominative(words))
    return nominative if nominative != name and tag_key(nominative) == tag_key(spelling) else name


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
