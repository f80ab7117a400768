from collections.abc import Iterable
from typing import TypeVar

Value = TypeVar("Value", int, str)


def padded(values: Iterable[Value]) -> list[Value]:
    """The values sorted, the last one repeated up to a power of two.

    A driver prepares a statement for each length of an IN list: this leaves few lengths.
    """
    found = sorted(set(values))
    return found + found[-1:] * ((1 << (len(found) - 1).bit_length()) - len(found)) if found else found
