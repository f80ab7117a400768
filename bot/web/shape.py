"""PURE: how much is in a JSON text, told before it is parsed.

A parser makes a hundred bytes of a number of two, and a validator a problem of each key that it does not know: what is
sent is to be no more than can be meant. What is in strings costs no more than its bytes, however much it is.
"""

from __future__ import annotations

import re

#: To its end, or to the text's when it has none. Nothing is tried twice (`*+`, `?+`): one pass over any text.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.?+[^"\\]*+)*+"?+', re.DOTALL)
#: What each element of an array or object begins with.
_BEGINNINGS = (b",", b"[", b"{")


def holds_more(text: bytes, most: int) -> bool:
    """Whether there are more strings (keys are some), commas, and beginnings of arrays and objects than that."""
    found, end = 0, 0
    for string in _STRING.finditer(text):
        found += 1 + _between(text, end, string.start())
        if found > most:
            return True
        end = string.end()
    return found + _between(text, end, len(text)) > most


def _between(text: bytes, start: int, end: int) -> int:
    return sum(text.count(each, start, end) for each in _BEGINNINGS)
