"""Python's cyclic garbage collector around a start and an end.

What is imported stays to the end: to look through 200 MB of it again and again costs a start a tenth of its time,
a running bot pauses, and an end, where the interpreter looks through all of it once more, a second or more.
"""

from __future__ import annotations

import gc


def pause() -> None:
    """Much is about to be imported, and nothing of it is garbage."""
    gc.disable()


#: So many objects may come before the collector looks at them; Python's own 700 are fewer than a hundred people's
#: updates under way. It looked again and again at what was in use, for a tenth of an update's time, and found nothing.
YOUNG_OBJECTS = 10_000


def settle() -> None:
    """What there is now is there to stay, and is not looked at again; what comes from now on is."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    gc.enable()
