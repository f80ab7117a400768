"""PURE: an English plural → its singular, by the ending and a file of exceptions."""

import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

_SHORTEST = 4


class _Exceptions(NamedTuple):
    irregular: dict[str, str]
    irregular_ends: dict[str, str]
    in_ie: frozenset[str]
    without_s: frozenset[str]
    as_written: frozenset[str]
    in_men: frozenset[str]
    in_es: frozenset[str]
    in_use: frozenset[str]


def singular(word: str) -> str:
    """The singular of a lower-case word of Latin letters; what seems to be no plural stays as written."""
    known = _exceptions()
    if word in known.as_written:
        return word
    if word in known.irregular:
        return known.irregular[word]
    for plural, one in known.irregular_ends.items():
        if word.endswith(plural) and not word.endswith("olives"):
            return word.removesuffix(plural) + one
    if word.endswith("men") and len(word) > 5 and word not in known.in_men:
        return word.removesuffix("men") + "man"
    is_plural = len(word) >= _SHORTEST and word.endswith("s") and not word.endswith("ss")
    return _without_s(word, known) if is_plural else word


def _without_s(word: str, known: _Exceptions) -> str:
    without_s, without_es = word[:-1], word[:-2]
    if word.endswith(("is", "us", "ics")):
        return without_s if without_s in known.without_s else word
    if word.endswith("ies"):
        return without_s if without_s in known.in_ie or len(word) < 5 else word[:-3] + "y"
    if word.endswith("yses"):
        return without_es + "is"
    return without_es if _ends_in_es(word, known) else without_s


def _ends_in_es(word: str, known: _Exceptions) -> bool:
    """Whether the ending is -es: boxes, dishes, classes, coaches, bonuses; not sizes, headaches, houses."""
    if word[:-2] in known.in_es:
        return True
    if word.endswith("ches"):
        return not word.endswith("aches")
    if word.endswith("uses"):
        return not word.endswith(("ouses", "auses")) and word[:-1] not in known.in_use
    return word.endswith(("sses", "shes", "xes", "zzes"))


@cache
def _exceptions() -> _Exceptions:
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    words = {name: block.split() for name, block in tomllib.loads(text).items()}
    return _Exceptions(
        dict(pair.split(":") for pair in words.pop("irregular")),
        dict(pair.split(":") for pair in words.pop("irregular_ends")),
        **{name: frozenset(found) for name, found in words.items()},
    )
