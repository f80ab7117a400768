"""Posts whose tags nobody else's can be: made from a number, read back out of a prompt.

Standard library only: the peers' programs, which have other packages, use it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Letters of a marker; no post but its own holds it.
MARKER_LENGTH = 8
#: A post of an ordinary length (some 500 characters), without a digit: the only ones in a message are its frame's.
_BODY = """\
В городе открыли новую набережную: на берегу высадили липы и клёны, поставили скамейки и фонари, проложили дорожки для \
бегунов и велосипедистов. Строили её три года, а деньги собирали всем районом. По вечерам здесь играет оркестр, а по \
выходным работает рынок, на котором продают мёд, сыр, яблоки и хлеб из соседних деревень. Жители просят пустить сюда \
трамвай и открыть библиотеку; в управе отвечают, что проект уже готов и ждёт только подписи."""
_ASKED = re.compile(r"(\d+)\D*?код ([a-z]{8})\b")


def marker(number: int) -> str:
    """Letters that stand for a number."""
    letters = []
    for _ in range(MARKER_LENGTH):
        number, rest = divmod(number, 26)
        letters.append(chr(ord("a") + rest))
    return "".join(letters)


def text_of(number: int) -> str:
    """The text of a post, unlike any other's."""
    return f"Новости, код {marker(number)}. {_BODY}"


def tags_of(mark: str) -> list[str]:
    """The tags that only the post of this marker may have."""
    return [mark, f"город {mark}", f"набережная {mark}"]


def asked(message: str) -> Iterator[tuple[int, str]]:
    """The posts of a user message: the last digits before each, and its marker."""
    return ((int(found[1]), found[2]) for found in _ASKED.finditer(message))
