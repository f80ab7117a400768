"""Whom to ask, and when to leave a model alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from services.availability.circuit_breaker import Aside, ModelState, observe, quota_spent
from services.availability.model_choice import (
    candidates,
    choose_model,
    is_paused,
    models_to_send,
    next_probe_at,
    pause_reason,
)
from services.availability.model_names import fell_back
from services.llm.outcomes import Kind, Outcome

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
CHAIN = ("x/a:free", "x/b:free", "x/c", "openrouter/free")


class World:
    """The states after a sequence of outcomes."""

    def __init__(self) -> None:
        self.states: dict[str, ModelState] = {}
        self.now = NOW

    def see(
        self, model: str, kind: Kind, *, answered: str | None = None, suspect: bool = False, **more: object
    ) -> None:
        # What comes back while a probe is under way is the probe's answer.
        is_probe = model in self.states and self.states[model].is_probed(self.now)
        outcome = Outcome(kind, "because", **more)  # type: ignore[arg-type]
        sent = (model, "x/c") if answered else (model,)
        self.states.update(
            observe(
                self.states, CHAIN, sent, answered, outcome, self.now, Random(1), suspect=suspect, is_probe=is_probe
            )
        )

    def probe(self, model: str) -> None:
        until = self.now + timedelta(seconds=65)
        self.states[model] = replace(self.states[model], probe_until=until)

    def allowed(self) -> list[str]:
        return candidates(CHAIN, self.states, self.now)

    def next_probe_at(self) -> datetime | None:
        assert is_paused(CHAIN, self.states, self.now)
        return next_probe_at(CHAIN, self.states, self.now)


def test_a_breaker_opens_after_three_faults_in_a_row() -> None:
    """5 s ± 20 %; two faults with an answer between them open nothing."""
    world = World()
    for kind in (Kind.SERVER_ERROR, Kind.TIMEOUT, Kind.TAGGED, Kind.NETWORK, Kind.TIMEOUT):
        world.see(CHAIN[0], kind)
    assert CHAIN[0] in world.allowed()
    world.see(CHAIN[0], Kind.TIMEOUT)
    assert CHAIN[0] not in world.allowed()
    until = world.states[CHAIN[0]].until
    assert until is not None
    assert 4 <= (until - NOW).total_seconds() <= 6


@pytest.mark.parametrize("kind", [Kind.MALFORMED, Kind.REFUSED])
def test_answers_open_no_breaker(kind: Kind) -> None:
    """The model is up; what it says is another matter."""
    world = World()
    for _ in range(10):
        world.see(CHAIN[0], kind)
    assert CHAIN[0] in world.allowed()


def test_a_probe_is_over_though_its_answer_says_nothing_new() -> None:
    """It was made in a pause, by force, and met what the pause is for."""
    world = World()
    world.see(CHAIN[0], Kind.LIMITED)
    before = world.states[CHAIN[0]]
    world.probe(CHAIN[0])
    world.see(CHAIN[0], Kind.LIMITED)
    assert world.states[CHAIN[0]] == before


def test_a_failed_probe_doubles_the_pause_and_a_good_one_ends_it() -> None:
    """Half-open: one probe, and only its success closes the breaker."""
    world = World()
    for _ in range(3):
        world.see(CHAIN[0], Kind.SERVER_ERROR)
    world.now += timedelta(seconds=10)
    assert world.allowed() == list(CHAIN)
    world.probe(CHAIN[0])
    assert world.allowed() == list(CHAIN[1:])
    world.see(CHAIN[0], Kind.SERVER_ERROR)
    until = world.states[CHAIN[0]].until
    assert until is not None
    assert 8 <= (until - world.now).total_seconds() <= 12
    world.now += timedelta(seconds=20)
    world.probe(CHAIN[0])
    world.see(CHAIN[0], Kind.TAGGED)
    assert world.states[CHAIN[0]] == ModelState(CHAIN[0])


def test_a_gone_model_is_set_aside_for_the_day() -> None:
    """Not asked again for every post."""
    world = World()
    world.see(CHAIN[0], Kind.MODEL_GONE)
    world.now += timedelta(hours=23)
    assert CHAIN[0] not in world.allowed()


def test_the_platforms_limit_stops_free_models_only() -> None:
    """Until its reset; then no probe is needed."""
    world = World()
    world.see(CHAIN[0], Kind.LIMITED, platform=True, until=NOW + timedelta(seconds=40))
    assert world.allowed() == ["x/c"]
    world.now += timedelta(seconds=41)
    assert world.allowed() == list(CHAIN)


def test_a_providers_limit_stops_its_model_only() -> None:
    """And without a time, for a short while."""
    world = World()
    world.see(CHAIN[0], Kind.LIMITED)
    assert world.allowed() == list(CHAIN[1:])


def test_an_account_fault_pauses_all_and_is_probed_slowly() -> None:
    """A minute, doubling to an hour; the first success frees every model."""
    world = World()
    world.see(CHAIN[0], Kind.ACCOUNT)
    world.see(CHAIN[1], Kind.ACCOUNT)  # was in flight
    assert pause_reason(CHAIN, world.states, world.now) is Aside.ACCOUNT
    assert world.next_probe_at() == NOW + timedelta(seconds=60)
    world.now += timedelta(seconds=61)
    assert world.next_probe_at() == world.now
    world.probe(CHAIN[0])
    assert world.next_probe_at() == world.now + timedelta(seconds=65)
    world.see(CHAIN[0], Kind.TAGGED)
    assert pause_reason(CHAIN, world.states, world.now) is None
    assert world.allowed() == list(CHAIN)


def test_each_request_goes_to_the_next_model() -> None:
    """Round the chain, untried ones first, never one that refused the post."""
    assert choose_model(CHAIN, CHAIN, (), ()) == CHAIN[0]
    assert choose_model(CHAIN, CHAIN, CHAIN[:1], ()) == CHAIN[1]
    assert choose_model(CHAIN, CHAIN, CHAIN[:1], CHAIN[1:2]) == CHAIN[2]
    assert choose_model(CHAIN, CHAIN, (*CHAIN[1:], CHAIN[0]), ()) == CHAIN[1]
    assert choose_model(CHAIN[:1], CHAIN[:1], CHAIN[:1], ()) == CHAIN[0]
    assert choose_model(CHAIN, CHAIN, (), CHAIN) is None


def test_at_most_three_models_are_sent() -> None:
    """OpenRouter answers 400 to a fourth."""
    assert models_to_send(CHAIN[0], CHAIN, CHAIN, ()) == CHAIN[:3]
    assert models_to_send(CHAIN[3], CHAIN, CHAIN, ()) == CHAIN[3:]


@pytest.mark.parametrize(
    ("sent", "answered", "expected"),
    [
        (("x/a:free", "x/b:free"), "x/b:free", True),
        (("x/a:free", "x/b:free"), "x/b", True),
        (("x/a:free", "x/b:free"), "x/a", False),
        (("x/a:free", "x/b:free"), "x/a-2025-01-01", False),
        (("x/a:free", "x/b:free"), "y/unknown", False),
        (("openrouter/free", "x/b:free"), "x/b:free", False),
        (("x/a:free",), "x/b", False),
        (("x/a:free", "x/b:free"), None, False),
    ],
)
def test_who_answered(sent: tuple[str, ...], answered: str | None, expected: bool) -> None:
    """A later model's answer is a fault of the first; a router's choice, or another spelling, is not."""
    assert fell_back(sent, answered) is expected


def test_fallbacks_by_the_provider_open_the_breaker() -> None:
    """Three answers by a later model: the first is left alone."""
    world = World()
    for _ in range(3):
        world.see(CHAIN[0], Kind.TAGGED, answered="x/c")
    assert CHAIN[0] not in world.allowed()


def test_a_straggler_lifts_no_limit_and_no_account_pause() -> None:
    """A request that left before the pause says nothing of it; the answer to a probe does."""
    for kind in (Kind.LIMITED, Kind.ACCOUNT):
        world = World()
        world.see(CHAIN[0], kind, until=NOW + timedelta(seconds=40))
        world.see(CHAIN[0], Kind.TAGGED)
        assert CHAIN[0] not in world.allowed()
        world.probe(CHAIN[0])
        world.see(CHAIN[0], Kind.TAGGED)
        assert world.allowed() == list(CHAIN)


def test_a_403_that_every_model_gives_is_the_accounts() -> None:
    """One model's is its own; when the last one says the same, tagging pauses as for a wrong key."""
    world = World()
    for model in CHAIN[:-1]:
        world.see(model, Kind.FORBIDDEN)
        assert pause_reason(CHAIN, world.states, world.now) is None
    world.see(CHAIN[-1], Kind.FORBIDDEN)
    assert pause_reason(CHAIN, world.states, world.now) is Aside.ACCOUNT
    assert world.next_probe_at() == NOW + timedelta(seconds=60)


def test_a_limit_without_a_reset_doubles_its_pause() -> None:
    """15 s, 30 s, …: a provider that does not say when is asked ever more rarely."""
    world = World()
    for seconds in (15, 30, 60):
        world.see(CHAIN[2], Kind.LIMITED)
        world.see(CHAIN[2], Kind.LIMITED)  # was in flight
        assert world.states[CHAIN[2]].until == world.now + timedelta(seconds=seconds)
        world.now += timedelta(seconds=seconds + 1)


def test_a_probe_that_is_lost_blocks_nobody_for_long() -> None:
    """Its process died: when its time is over, the next one goes."""
    world = World()
    for _ in range(3):
        world.see(CHAIN[0], Kind.TIMEOUT)
    world.now += timedelta(seconds=10)
    world.probe(CHAIN[0])
    world.now += timedelta(seconds=66)
    assert CHAIN[0] in world.allowed()


def test_a_spent_quota_stops_free_models_until_its_day_ends() -> None:
    """As GET /key says it; a paid model goes on."""
    world = World()
    midnight = NOW + timedelta(hours=12)
    world.states.update(quota_spent(world.states, CHAIN, midnight, NOW))
    assert world.allowed() == ["x/c"]
    assert quota_spent(world.states, CHAIN, midnight, NOW) == {}
    world.now = midnight
    assert world.allowed() == list(CHAIN)


def test_an_outage_of_all_models_costs_one_probe_a_pause() -> None:
    """Whichever model it goes to: the pause that follows is everybody's, doubling to five minutes."""
    world, probes = World(), 0
    for _ in range(3):
        for model in CHAIN:
            world.see(model, Kind.SERVER_ERROR)
    end = NOW + timedelta(hours=1)
    while True:
        probe_at = world.next_probe_at()
        assert probe_at is not None
        if probe_at > world.now:
            world.now = probe_at
            continue
        if world.now > end:
            break
        probes += 1
        model = choose_model(CHAIN, world.allowed(), (), ()) or ""
        world.probe(model)
        world.see(model, Kind.SERVER_ERROR)
    assert 10 <= probes <= 20
    world.probe(CHAIN[1])
    world.see(CHAIN[1], Kind.TAGGED)
    assert pause_reason(CHAIN, world.states, world.now) is None


def test_a_suspects_faults_open_no_breaker_and_close_none() -> None:
    """They say little of a model that serves others; but a probe of its is a probe."""
    world = World()
    for _ in range(5):
        world.see(CHAIN[0], Kind.SERVER_ERROR, suspect=True)
    assert CHAIN[0] in world.allowed()
    for _ in range(3):
        world.see(CHAIN[0], Kind.SERVER_ERROR)
    world.now += timedelta(seconds=10)
    world.probe(CHAIN[0])
    world.see(CHAIN[0], Kind.SERVER_ERROR, suspect=True)
    assert CHAIN[0] not in world.allowed()


def test_a_late_answer_ends_no_probe_and_lengthens_no_pause() -> None:
    """A timeout of a request that left before the breaker opened, while the probe is under way or due."""
    world = World()
    for _ in range(3):
        world.see(CHAIN[0], Kind.TIMEOUT)
    world.now += timedelta(seconds=10)
    before = world.states[CHAIN[0]]
    world.see(CHAIN[0], Kind.TIMEOUT)
    assert world.states[CHAIN[0]] == before


def test_no_header_stops_a_failing_model_for_long() -> None:
    """A 503 that says two days: five minutes."""
    world = World()
    world.see(CHAIN[0], Kind.SERVER_ERROR, until=NOW + timedelta(days=2))
    assert world.states[CHAIN[0]].until == NOW + timedelta(seconds=300)
