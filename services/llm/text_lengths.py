"""How much of a post's text goes to a model whose context is too short for all of it, learnt from its errors."""

from collections import OrderedDict
from collections.abc import Sequence

from services.text import sendable

#: Characters that still say what a post is about.
LEAST = 200
_MOST_TEXTS = 1000


class TextLengths:
    def __init__(self) -> None:
        self._lengths: OrderedDict[tuple[str, int], int] = OrderedDict()

    def cut(self, model: str, texts: Sequence[str]) -> tuple[str, ...]:
        """The texts as they are sent to the model."""
        return tuple(text[: self._lengths.get((model, hash(text)))] for text in texts)

    def shorten(self, model: str, text: str) -> bool:
        """Send half of the text from now on, then LEAST characters; False if it is no longer than that."""
        key = model, hash(text)
        known, whole = self._lengths.get(key), len(sendable(text))
        if min(known or whole, whole) <= LEAST:
            return False
        self._lengths[key] = max(LEAST, whole // 2) if known is None else LEAST
        if len(self._lengths) > _MOST_TEXTS:
            self._lengths.popitem(last=False)
        return True
