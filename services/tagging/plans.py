"""The values of a worker's turn: what the process holds, what the turn sees of the shared state, what it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from services.availability.budget import LaneState
from services.availability.circuit_breaker import ModelState
from storage.queue.claim import ClaimedPost


class Start(NamedTuple):
    """A request to make: its posts, the model asked first, and those that go along."""

    posts: tuple[ClaimedPost, ...]
    models: tuple[str, ...]
    is_probe: bool = False
    #: The posts' text keys; None where no equal text is to wait for the tags.
    keys: tuple[int | None, ...] = ()

    @property
    def is_retry(self) -> bool:
        """Whether it is made again after a fault of the upstream."""
        return any(post.is_retry for post in self.posts)

    @property
    def work_class(self) -> int:
        """Its place in the order of work: that of its first post."""
        return min(post.work_class for post in self.posts)


@dataclass(frozen=True, slots=True)
class Held:
    """What the process holds: requests in flight, those that are ready to leave, and how many to have ready."""

    in_flight: Sequence[Start] = ()
    ready: Sequence[Start] = ()
    ahead: int = 0

    @property
    def starts(self) -> list[Start]:
        """Both."""
        return [*self.in_flight, *self.ready]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a turn starts.

    `claimed`: whether it took anything; `wait`: seconds until the next look, None: no reason to look; `notices`:
    whether anybody is to be told of a post that was settled without a request.
    """

    starts: tuple[Start, ...] = ()
    claimed: bool = False
    wait: float | None = None
    notices: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """The shared state as this turn sees it."""

    states: dict[str, ModelState]
    lanes: Mapping[str, LaneState]
    now: datetime
    #: Posts that were settled, and of which somebody is to be told.
    told: list[int] = field(default_factory=list)
