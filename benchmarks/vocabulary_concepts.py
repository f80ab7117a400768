"""Concepts that posts are about, each with its names in all their forms: a Russian one, an English one, a synonym."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pymorphy3 import MorphAnalyzer

#: Russian = English, each a concept of its own, and with each adjective another.
NOUNS = (
    "выставка=exhibition школа=school рынок=market музей=museum проект=project закон=law дорога=road "
    "больница=hospital ракета=rocket робот=robot фильм=movie книга=book игра=game банк=bank завод=factory "
    "станция=station компания=company система=system программа=program технология=technology сеть=network "
    "карта=map спутник=satellite вакцина=vaccine налог=tax"
)
ADJECTIVES = (
    "новый=new городской=urban детский=kids цифровой=digital военный=military частный=private "
    "государственный=state международный=international умный=smart облачный=cloud мобильный=mobile "
    "социальный=social финансовый=financial космический=space медицинский=medical"
)
#: A second Russian name of a concept.
SYNONYMS = {"фильм": "кинокартина", "завод": "фабрика", "больница": "госпиталь", "дорога": "трасса", "книга": "издание"}


@dataclass(frozen=True, slots=True)
class Concept:
    """`names`: the Russian name first; each name in the forms in which a model may write it."""

    names: tuple[tuple[str, ...], ...]


def all_concepts() -> list[Concept]:
    """A concept for each noun, and for each adjective with a noun."""
    nouns, adjectives = (_pairs(words) for words in (NOUNS, ADJECTIVES))
    alone = [_concept(_noun_forms(ru), [en], SYNONYMS.get(ru)) for ru, en in nouns]
    return alone + [
        _concept(_phrase_forms(adjective, ru), [en_adjective, en], None)
        for adjective, en_adjective in adjectives
        for ru, en in nouns
    ]


def _pairs(words: str) -> list[tuple[str, str]]:
    return [(ru, en) for ru, _, en in (pair.partition("=") for pair in words.split())]


def _concept(russian: list[str], english: list[str], synonym: str | None) -> Concept:
    one = " ".join(english)
    many = one[:-1] + "ies" if one.endswith("y") else one + ("es" if one.endswith("x") else "s")
    signs = {sign.join(name.split()) for name in (one, many) for sign in (" ", "-", "_")}
    forms = (tuple(_spelled(russian)), tuple(sorted(signs | {one.title()})))
    return Concept((*forms, tuple(_noun_forms(synonym))) if synonym else forms)


def _spelled(forms: list[str]) -> list[str]:
    return sorted(
        {each for form in forms for each in (form, form.replace(" ", "-"), form.replace(" ", "_"), form.title())}
    )


def _noun_forms(noun: str) -> list[str]:
    parse = next(parse for parse in _analyzer().parse(noun) if parse.tag.POS == "NOUN" and parse.tag.case == "nomn")
    kinds = ({"nomn", "sing"}, {"nomn", "plur"}, {"gent", "plur"})
    return [form.word for kind in kinds if (form := parse.inflect(kind))]


def _phrase_forms(adjective: str, noun: str) -> list[str]:
    parse = next(parse for parse in _analyzer().parse(noun) if parse.tag.POS == "NOUN" and parse.tag.case == "nomn")
    quality = next(parse for parse in _analyzer().parse(adjective) if parse.tag.POS == "ADJF")
    kinds = ({"nomn", "sing", parse.tag.gender}, {"nomn", "plur"}, {"gent", "plur"})
    pairs = ((quality.inflect(kind), parse.inflect(kind - {parse.tag.gender})) for kind in kinds)
    return [f"{first.word} {second.word}" for first, second in pairs if first and second]


@cache
def _analyzer() -> MorphAnalyzer:
    return MorphAnalyzer(lang="ru")
