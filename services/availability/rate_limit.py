"""The pace of requests, which all processes on an account share: lanes in the database, and slots in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.budget import FREE_LANE, LaneState, Pace
from storage.queue import limits

#: Slots further ahead are not told to posts: the clock may have been set, or the limit learnt anew.
LONGEST_PROMISE = timedelta(hours=1)

States = Mapping[str, LaneState]


class Lanes:
    """The lanes that a chain of models uses; their states are read once a turn, and given to each question."""

    def __init__(self, pace: Pace, chain: Sequence[str]) -> None:
        self._pace = pace
        self._own = set(map(pace.lane, chain))
        self._wanted = sorted(self._own | {FREE_LANE})
        # Lane → the last slot that waiting posts were told.
        self._promised: dict[str, datetime] = {}

    async def load(self, session: AsyncSession) -> States:
        """The states of all of them, made where they are missing; without any pace nothing is read."""
        if self._pace.per_minute == 0:
            return dict.fromkeys(self._wanted, LaneState())
        rows = await limits.load(session)
        if not rows.keys() >= set(self._wanted):
            await limits.ensure(session, self._wanted)
            rows = await limits.load(session)
        return {lane: lane_state(rows[lane]) for lane in self._wanted}

    def are_paced(self, states: States, now: datetime) -> bool:
        """Whether any lane is paced: any model of the chain may be the next, one request a turn keeps each pace."""
        return any(self._pace.interval(lane, states[lane], now) for lane in self._own)

    def wait(self, model: str, states: States, now: datetime) -> float:
        """Seconds until the next request to a model may start."""
        lane = self._pace.lane(model)
        return self._pace.wait(lane, states[lane], now)

    async def take_slot(self, session: AsyncSession, model: str, states: States, now: datetime) -> bool:
        """Book the next request to a model; False when another process was quicker."""
        lane = self._pace.lane(model)
        interval = self._pace.interval(lane, states[lane], now)
        return interval is None or await limits.take_slot(session, lane, now, interval)

    def promise_slot(self, model: str, states: States, now: datetime) -> datetime:
        """When the next slot may be for a request to a model that has to wait: each gets a time of its own."""
        lane = self._pace.lane(model)
        interval = self._pace.interval(lane, states[lane], now) or timedelta(seconds=1)
        free = max(states[lane].next_at or now, now)
        slot = max(free, self._promised.get(lane, free) + interval)
        if slot - now > LONGEST_PROMISE:
            slot = free
        self._promised[lane] = slot
        return slot


def lane_state(row: Row[Any]) -> LaneState:
    """A lane's row as a value."""
    return LaneState(row.next_at, row.per_minute, row.learnt_at, row.day, row.day_used, row.day_limit)
