"""PURE: Russian words → their dictionary forms, one reading for the whole phrase.

A word alone often has several readings (`банки`: банк, банка). Those readings are taken that make the likeliest phrase:
the first noun in the nominative, adjectives that agree with their noun, a noun after a noun in the genitive.
"""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from pymorphy3 import MorphAnalyzer
from pymorphy3.analyzer import Parse
from pymorphy3.units import KnownPrefixAnalyzer

_WORD = re.compile(r"[а-яё]+(?:-[а-яё]+)*")
_NOMINAL = {"NOUN": 0.3, "ADJF": 0.0, "PRTF": -0.2}
#: First names, surnames, patronymics.
_NAMES = frozenset({"Name", "Surn", "Patr"})
#: A nominative that is met less often is not what is meant: in the plural; in the singular of a word alone, where a
#: mistake would merge two words of the dictionary; in a phrase.
_RARE_PLURAL, _RARE_ALONE, _RARE_IN_PHRASE = 0.1, 0.03, 0.1
_RARE_NAME = 0.1
#: An adjective that is met less often is rather the noun of that form: сборная.
_RARE_ADJECTIVE = 0.3
_FUNCTION_WORDS = {"PREP", "CONJ", "PRCL"}


class Reading(NamedTuple):
    """A reading of a word; `part`: NOUN, ADJF, PREP or, for all that is left as written, OTHER."""

    lemma: str
    part: str
    case: str | None = None
    number: str | None = None
    gender: str | None = None
    score: float = 0.0
    weight: float = 0.0
    #: How much it counts that this adjective agrees with a noun.
    agreement: float = 1.0
    #: A first name, surname or patronymic.
    is_name: bool = False
    plural_only: bool = False
    known: bool = True


def is_russian(word: str) -> bool:
    return _WORD.fullmatch(word) is not None


@lru_cache(maxsize=20_000)
def readings(word: str) -> tuple[Reading, ...]:
    """What a lower-case word may be; a word that is no noun, adjective or participle is left as written."""
    if not is_russian(word):
        return (Reading(word, "OTHER"),)
    parses = analyzer().parse(word)
    best = parses[0].tag.POS
    if best in _FUNCTION_WORDS:
        return (Reading(word, "PREP" if best == "PREP" else "OTHER"),)
    nominal = [parse for parse in parses if parse.tag.POS in _NOMINAL]
    adjective = sum(parse.score for parse in nominal if parse.tag.POS != "NOUN")
    agreement = min(1.0, adjective / _RARE_ADJECTIVE)
    found = [_reading(parse, _likelihood(parse, nominal), agreement) for parse in nominal]
    if not found or (_is_adverb(word, parses) and not any(reading.case == "nomn" for reading in found)):
        return (Reading(word, "OTHER"),)
    return tuple(found)


def _likelihood(parse: Parse, parses: Sequence[Parse]) -> float:
    """How often the word is met so. Of the plural, the accusative is counted along: it only looks another."""
    if parse.tag.case != "nomn" or parse.tag.number != "plur":
        return float(parse.score)
    if parse.tag.animacy == "anim":
        # Its accusative looks like the genitive.
        return float(parse.score) * 1.5
    same = (parse.normal_form, "plur", "accs", parse.tag.animacy)
    alike = [p for p in parses if (p.normal_form, p.tag.number, p.tag.case, p.tag.animacy) == same]
    return float(parse.score + sum(p.score for p in alike))


def _is_adverb(word: str, parses: Sequence[Parse]) -> bool:
    """Whether the word is also in the dictionary as it is written: боком, though бок has that form, too."""
    return any(parse.normal_form == word and parse.tag.POS not in _NOMINAL for parse in parses)


def phrase(words: Sequence[str]) -> list[Reading]:
    """The likeliest reading of each word of a phrase (Viterbi's algorithm)."""
    paths: list[tuple[float, list[Reading]]] = []
    for word in words:
        options = readings(word)
        if not paths:
            rare = _RARE_IN_PHRASE if len(words) > 1 else _RARE_ALONE
            paths = [(_alone(option) + _opening(option, rare), [option]) for option in options]
            continue
        longer = []
        for option in options:
            score, path = max(
                ((score + _pair(path[-1], option), path) for score, path in paths), key=lambda found: found[0]
            )
            longer.append((score + _alone(option), [*path, option]))
        paths = longer
    return max(paths, key=lambda found: found[0])[1] if paths else []


def agree(adjective: Reading, noun: Reading) -> bool:
    if adjective.part != "ADJF" or noun.part != "NOUN":
        return False
    return _same_form(adjective, noun)


def inflect(word: str, reading: Reading, grammemes: set[str]) -> str:
    """The word in another form; as it is if the dictionary has no such form."""
    for parse in analyzer().parse(word):
        tag = parse.tag
        if _is_known(parse) and (tag.case, tag.number, tag.gender) == (reading.case, reading.number, reading.gender):
            inflected = parse.inflect(grammemes)
            if inflected is not None and _lemma(parse) == reading.lemma:
                return str(inflected.word)
    return word


@cache
def analyzer() -> MorphAnalyzer:
    """The dictionary, loaded when it is first needed: 30 MB."""
    return MorphAnalyzer(lang="ru")


def _reading(parse: Parse, likelihood: float, agreement: float) -> Reading:
    tag = parse.tag
    return Reading(
        _lemma(parse),
        "NOUN" if tag.POS == "NOUN" else "ADJF",
        tag.case,
        tag.number,
        tag.gender,
        likelihood,
        likelihood + _NOMINAL[tag.POS],
        agreement,
        is_name=not _NAMES.isdisjoint(tag.grammemes),
        plural_only="Pltm" in tag,
        known=_is_known(parse),
    )


def _is_known(parse: Parse) -> bool:
    """Whether the dictionary has the word, or the rest of it after a prefix such as нейро."""
    return parse.is_known or any(isinstance(method[0], KnownPrefixAnalyzer) for method in parse.methods_stack)


def _lemma(parse: Parse) -> str:
    lemma = parse.normal_form
    if parse.tag.POS == "PRTF":
        # A participle's normal form is the verb: обученный and обучающий are two words.
        masculine = parse.inflect({"nomn", "sing", "masc"})
        lemma = masculine.word if masculine else parse.word
    return str(lemma).replace("ё", "е")


def _alone(option: Reading) -> float:
    # Of equally likely readings the one that exists in the plural only: очки are no очко.
    return option.weight + (0.05 if option.plural_only else 0.01 if option.gender == "masc" else 0.0)


def _opening(option: Reading, rare: float = _RARE_IN_PHRASE) -> float:
    """A phrase begins in the nominative, rather in the singular, unless that reading is hardly ever met."""
    if option.case != "nomn":
        return 0.0
    if option.part == "ADJF":
        return 1.0
    if option.number == "plur":
        return 0.0 if option.is_name else 1.5 if option.score >= _RARE_PLURAL else 0.2
    is_rare = option.score < (_RARE_NAME if option.is_name else rare)
    return 0.2 if is_rare and option.known else 2.0


def _pair(left: Reading, right: Reading) -> float:
    if left.part == "OTHER":
        return _opening(right)
    if left.part == "PREP":
        return -2.0 if right.case == "nomn" else 0.5
    if left.part == "ADJF":
        agrees = right.part in {"NOUN", "ADJF"} and _same_form(left, right)
        return left.agreement * (3.0 if right.part == "NOUN" else 1.0) if agrees else 0.0
    if right.part == "ADJF":
        return 1.2 if _same_form(right, left) else 0.5 if right.case == "gent" else 0.0
    return {"gent": 1.0, "ablt": 0.5, "nomn": 0.3}.get(right.case or "", 0.0)


def _same_form(one: Reading, other: Reading) -> bool:
    if one.case != other.case or one.number != other.number:
        return False
    return one.number == "plur" or None in {one.gender, other.gender} or one.gender == other.gender
