"""PURE: whether a text has a tag's words in any form: inflected, in look-alike letters, transliterated, spelt apart."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+")
#: Parts that one or two signs join: ка-зи-но, к.а.з.и.н.о, онлайн_казино.
_JOINED = re.compile(r"[^\W_]+(?:(?:[^\w\s]|_){1,2}[^\W_]+)+")
#: Four or more single letters in a row: к а з и н о.
_APART = re.compile(r"(?<![^\W_])[^\W_](?:[\W_]{1,3}[^\W_](?![^\W_])){3,}")
_CYRILLIC = re.compile("[а-яіїєґў]")
_LATIN = re.compile("[a-z]")
_LATIN_AS_CYRILLIC = str.maketrans("aceopxykmtbhi01346", "асеорхукмтвніоизчб")
_CYRILLIC_AS_LATIN = str.maketrans("асеорхукмтвні", "aceopxykmtbhi")
_DIGIT_AS_LATIN = str.maketrans("0134578", "oieastb")
_SOUNDS = str.maketrans(
    {
        **dict(zip("абвгдезиклмнопрстуфыэіґўqwyz", "abvgdesiklmnoprstufieigukvis", strict=True)),
        "ж": "sh",
        "х": "h",
        "ц": "ts",
        "ч": "ch",
        "ш": "sh",
        "щ": "sh",
        "ъ": "",
        "ь": "",
        "ю": "u",
        "я": "a",
        "x": "ks",
    }
)
_SPELLINGS = re.compile(r"kh|ph|yu|ya|ck|zh|shch|c(?!h)")
_SPELT = {"kh": "h", "ph": "f", "yu": "u", "ya": "a", "ck": "k", "zh": "sh", "shch": "sh", "c": "k"}
_DOUBLED = re.compile(r"(.)\1")
#: Words of tags that are shorter say nothing by themselves.
_SHORTEST = 3
#: A tag of this length counts where it stands inside a longer word: #лучшееказино.
_SHORTEST_INSIDE = 5
_INDEXED = 3
#: Longest ending by which two forms of a word differ.
_ENDING = 5
#: Unicode's categories of accents, and of characters without width.
_INVISIBLE = frozenset({"Mn", "Me", "Cf"})


def plain(text: str) -> str:
    """Lower case without accents and invisible characters, words in one alphabet, letters apart joined."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    visible = "".join(char for char in decomposed if char.isascii() or unicodedata.category(char) not in _INVISIBLE)
    one_alphabet = _WORD.sub(lambda word: _one_alphabet(word[0]), visible)
    return _APART.sub(lambda run: _without_signs(run[0]), one_alphabet)


class Words:
    """The words of a text, found by their beginnings."""

    def __init__(self, text: str) -> None:
        self._by_beginning: defaultdict[str, set[str]] = defaultdict(set)
        self._long: set[str] = set()
        for word in _words(text):
            sound = _sound(word)
            self._by_beginning[sound[:_INDEXED]].add(sound)
            if len(sound) > _SHORTEST_INSIDE:
                self._long.add(sound)

    def have(self, tag: str) -> bool:
        """Whether all words of the tag are here."""
        sounds = _sounds_of_tag(tag)
        return bool(sounds) and all(map(self._has, sounds))

    def have_any_of(self, tag: str) -> bool:
        """Whether a word of the tag is here."""
        return any(map(self._has, _sounds_of_tag(tag)))

    def _has(self, sound: str) -> bool:
        if any(_are_forms(sound, other) for other in self._by_beginning.get(sound[:_INDEXED], ())):
            return True
        return len(sound) >= _SHORTEST_INSIDE and any(_stem(sound) in other for other in self._long)


def key(tag: str) -> frozenset[str]:
    """Equal for spellings of a tag that differ in letters only."""
    return frozenset(_sounds_of_tag(tag))


def _words(text: str) -> Iterator[str]:
    lower = plain(text)
    yield from _WORD.findall(lower)
    for joined in _JOINED.findall(lower):
        yield _without_signs(joined)


def _without_signs(text: str) -> str:
    return "".join(_WORD.findall(text))


@lru_cache(maxsize=2000)
def _sounds_of_tag(tag: str) -> tuple[str, ...]:
    words = _WORD.findall(plain(tag))
    return tuple(_sound(word) for word in words if len(word) >= _SHORTEST) or tuple(map(_sound, words))


@lru_cache(maxsize=20_000)
def _one_alphabet(word: str) -> str:
    if word.isascii():
        return word.translate(_DIGIT_AS_LATIN) if _mixes_digits(word) else word
    cyrillic = len(_CYRILLIC.findall(word))
    if not cyrillic or (cyrillic == len(word)):
        return word
    if cyrillic * 2 >= len(_LATIN.findall(word)):
        return word.translate(_LATIN_AS_CYRILLIC)
    return word.translate(_CYRILLIC_AS_LATIN)


def _mixes_digits(word: str) -> bool:
    """Whether a digit stands between letters: cas1no, but not gpt4."""
    return re.search(r"[a-z]\d[a-z]", word) is not None


@lru_cache(maxsize=20_000)
def _sound(word: str) -> str:
    """The word in Latin letters, roughly as spoken: казино and casino are equal."""
    spelt = _SPELLINGS.sub(lambda found: _SPELT[found[0]], word)
    return _DOUBLED.sub(r"\1", spelt.translate(_SOUNDS))


def _stem(sound: str) -> str:
    return sound[: max(_SHORTEST_INSIDE - 1, len(sound) - 1)]


def _are_forms(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    same = next((at for at, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    least = max(_INDEXED, len(short) - (1 if len(short) <= 5 else 2))
    return same >= min(least, len(short)) and len(long) - same <= _ENDING
