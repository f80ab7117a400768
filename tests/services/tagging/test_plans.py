"""Requests that are planned before there is a place for them."""

from __future__ import annotations

from random import Random

import pytest

from services.availability.budget import Pace
from services.clock import utc_now
from services.tagging.dispatcher import Dispatcher
from services.tagging.plans import Held, Start
from services.tagging.recorder import Recorded, Recorder
from services.tagging.retry_policy import Policy
from storage.db.engine import Database
from tests.services.posts import fill

CHAIN = ("a/model",)


def dispatcher(per_minute: int) -> Dispatcher:
    policy, pace = Policy(), Pace(per_minute)
    return Dispatcher(
        Recorder(CHAIN, policy, pace, frozenset(), utc_now, Random(1)),
        CHAIN,
        policy,
        pace,
        concurrency=4,
        batch_size=1,
        lease_seconds=300,
        probe_seconds=5,
        sends_models=lambda: False,
    )


@pytest.mark.parametrize(
    ("answered", "per_minute", "probe", "starts"),
    [
        (9, 0, False, 5),
        (0, 0, False, 0),  # who is not known to be welcome plans nothing ahead
        (9, 600, False, 0),  # nor is there a place in the pace before it is there in flight
        (9, 0, True, 0),
    ],
)
async def test_planned_ahead_with_every_place_taken(
    database: Database, answered: int, per_minute: int, probe: bool, starts: int
) -> None:
    """The turn that records answers claims what follows them: with a quick provider no other turn comes between."""
    await fill(database, 20)
    decides = dispatcher(per_minute)
    decides.recorded(Recorded(answered=answered))
    in_flight = [Start((), CHAIN) for _ in range(4)]
    async with database.write() as session:
        plan = await decides.plan(session, utc_now(), Held(in_flight, ahead=5), probe=probe)
    assert len(plan.starts) == starts
