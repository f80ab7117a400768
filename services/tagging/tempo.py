"""How long requests take at present, and what follows: are answers gathered, and how many requests made ready?"""

from __future__ import annotations

import time
from collections.abc import Sequence

#: After requests that take less than this the next ones leave before the answers are stored, which takes as long.
QUICK_SECONDS = 0.1
#: Requests are planned ahead for so long, since none may be missing while answers are gathered and a turn stores them;
#: and not more of them than so many times those in flight.
AHEAD_SECONDS, MOST_AHEAD = 0.1, 16.0
#: Speeds vary: what is ready is given back when it is so many times what would be planned ahead now.
MOST_READY = 2
#: When no answer has come for so long, this silence is how long requests take.
SILENCE_SECONDS = 1.0
SHORTEST_SECONDS = 0.001


class Tempo:
    """Measures the requests of one worker, without the time in which it could not read their answers itself."""

    def __init__(self) -> None:
        self._seconds: float | None = None
        # When the last answer came, or the first request since nothing was in flight.
        self._heard_at = 0.0
        # For how long in all the answers that are there kept being unread.
        self._held_up = 0.0

    @property
    def is_quick(self) -> bool:
        """Whether an answer is about to come while another is stored."""
        return self._seconds is not None and self._seconds < QUICK_SECONDS

    def heard(self) -> None:
        """An answer has come, or the first request has left."""
        self._heard_at = time.monotonic()

    def held_up(self, seconds: float, answers: int) -> None:
        """For so long none of the answers could be read that were there after it."""
        self._held_up += seconds * answers

    def learn(self, taken: Sequence[float], in_flight: int) -> None:
        """The seconds that the requests which have ended since the last time took, and how many go on."""
        silence = time.monotonic() - self._heard_at if in_flight else 0.0
        if taken:
            self._seconds = max((sum(taken) - self._held_up) / len(taken), SHORTEST_SECONDS)
            self._held_up = 0.0
        elif silence >= SILENCE_SECONDS:
            self._seconds = max(self._seconds or 0.0, silence)

    def ahead(self, concurrency: int) -> int:
        """How many requests to plan ahead: what is made within AHEAD_SECONDS, so that nobody's wish waits longer."""
        if self._seconds is None:
            return 0
        return int(concurrency * min(MOST_AHEAD, AHEAD_SECONDS / self._seconds))
