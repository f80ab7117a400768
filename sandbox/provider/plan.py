"""Chooses the fault of a request."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sandbox.provider.faults import FAULTS, TRANSIENT


@dataclass
class FaultPlan:
    """Random faults for a share of the requests."""

    rate: float = 0.0
    names: Sequence[str] = TRANSIENT
    seed: int | None = None
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        checked(self.names)
        self._random = random.Random(self.seed)

    def draw(self) -> str | None:
        """The name of a fault, or None."""
        return self._random.choice(list(self.names)) if self._random.random() < self.rate else None


@dataclass
class _PostFault:
    marker: str
    name: str
    times: int | None


class Script:
    """Planned faults; the first that fits a request is used."""

    def __init__(self) -> None:
        self.random = FaultPlan()
        self.next: deque[str | None] = deque()
        self.models: dict[str, str] = {}
        self.posts: list[_PostFault] = []

    def add_post(self, marker: str, name: str, times: int | None) -> None:
        """Requests that contain `marker` fail, `times` times (None: always)."""
        checked([name])
        self.posts.append(_PostFault(marker, name, times))

    def forget_post(self, marker: str) -> None:
        """Remove the plans for `marker`."""
        self.posts = [fault for fault in self.posts if fault.marker != marker]

    def take(self, message: str, model: str) -> str | None:
        """The fault of this request: from the queue, of the post, of the model, or random."""
        if self.next:
            return self.next.popleft()
        for fault in self.posts:
            if fault.marker in message and fault.times != 0:
                fault.times = None if fault.times is None else fault.times - 1
                return fault.name
        return self.models.get(model) or self.random.draw()


def checked(names: Iterable[str]) -> list[str]:
    """The names.

    Raises:
        ValueError: one of them is no fault.
    """
    listed = list(names)
    unknown = [name for name in listed if name not in FAULTS]
    if unknown:
        raise ValueError(f"no such fault: {', '.join(unknown)}; there are: {', '.join(FAULTS)}")
    return listed
