"""Python's cyclic garbage collector around a start and an end.

What is imported stays to the end: to look through 200 MB of it again and again costs a start a tenth of its time,
a running bot pauses, and an end, where the interpreter looks through all of it once more, a second or more.
"""

from __future__ import annotations

import gc


def pause() -> None:
    """Much is about to be imported, and nothing of it is garbage."""
    gc.disable()


def settle() -> None:
    """What there is now is there to stay, and is not looked at again; what comes from now on is."""
    gc.freeze()
    gc.enable()
