"""What an outcome means for a post."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from services.llm.outcomes import Kind, Outcome
from services.tagging.retry_policy import (
    AskAgain,
    AttemptTrail,
    Decision,
    GiveUp,
    Policy,
    RetryAt,
    Tagged,
    Upstream,
    backoff,
    decide,
    settled_attempts,
)

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
CHAIN = ("a", "b", "c", "d")
SERVING = Upstream(models=CHAIN, is_down=False, last_success_at=NOW)
AWAY = Upstream(models=CHAIN, is_down=True, last_success_at=NOW - timedelta(hours=1))


def run(kinds: list[Kind], upstream: Upstream = SERVING, attempts: int = 0, policy: Policy | None = None) -> Decision:
    """An attempt in which each model in turn gives the next of `kinds`."""
    policy, trail, decision = policy or Policy(), AttemptTrail(), None
    for index, kind in enumerate(kinds):
        outcome = Outcome(kind, "because", tags=("t",))
        decision = decide(attempts, trail, CHAIN[index % 4], outcome, upstream, policy, NOW, NOW, Random(1))
        if isinstance(decision, AskAgain):
            trail = decision.trail
    assert decision is not None
    return decision


def seconds(at: datetime | None) -> float:
    assert at is not None
    return (at - NOW).total_seconds()


def test_delay_doubles_with_jitter() -> None:
    """2, 4, 8 seconds ± 20 % after a 5xx, a timeout, a network fault or an empty answer."""
    for n, delay in enumerate((2, 4, 8), start=1):
        decision = run([Kind.SERVER_ERROR, Kind.TIMEOUT, Kind.EMPTY][:n])
        assert isinstance(decision, AskAgain)
        assert 0.8 * delay <= seconds(decision.at) <= 1.2 * delay


@pytest.mark.parametrize("kind", [Kind.MALFORMED, Kind.REFUSED, Kind.MODEL_GONE, Kind.LIMITED])
def test_no_delay_where_another_model_can_do_it_now(kind: Kind) -> None:
    """A malformed answer, a refusal, a vanished or limited model: the next model at once."""
    decision = run([kind])
    assert isinstance(decision, AskAgain)
    assert decision.at is None


def test_a_gone_model_is_none_of_the_attempts_requests() -> None:
    """Nor is a limit or a fault of the account."""
    decision = run([Kind.MODEL_GONE, Kind.LIMITED, Kind.ACCOUNT, Kind.FORBIDDEN])
    assert isinstance(decision, AskAgain)
    assert decision.trail == AttemptTrail()


def test_an_attempt_has_one_request_and_its_retries() -> None:
    """1 + TAGGING_MAX_RETRIES requests, then the post waits TAGGING_BACKOFF_SECONDS."""
    assert isinstance(run([Kind.SERVER_ERROR] * 3), AskAgain)
    decision = run([Kind.SERVER_ERROR] * 4)
    assert isinstance(decision, RetryAt)
    assert decision.counts
    assert 48 <= seconds(decision.at) <= 72


def test_attempts_are_bounded() -> None:
    """TAGGING_MAX_ATTEMPTS counted attempts, then failed."""
    assert run([Kind.MALFORMED] * 4, attempts=4) == GiveUp("exhausted", "because (d)")


def test_the_last_attempt_waits_for_a_sign_that_the_upstream_serves() -> None:
    """What was served before the fault says nothing of an outage that begins with it: the post is looked at
    again soon, and then fails if others were served since, without another request."""
    decision = run([Kind.SERVER_ERROR] * 4, attempts=4)
    assert isinstance(decision, RetryAt)
    assert not decision.counts
    assert seconds(decision.at) <= 5
    assert settled_attempts(4, NOW, NOW + timedelta(seconds=1)) == 5
    assert settled_attempts(4, NOW, NOW) == settled_attempts(4, NOW, None) == settled_attempts(4, None, NOW) == 4


def test_a_suspect_that_fails_alone_fails_by_itself() -> None:
    """Others were served after it had failed, and nobody else fails: no sign is waited for, also at the last."""
    alone = Upstream(models=CHAIN, is_down=False, last_success_at=NOW - timedelta(hours=1), only_suspects_fail=True)
    decision = run([Kind.SERVER_ERROR] * 4, upstream=alone)
    assert isinstance(decision, RetryAt)
    assert decision.counts
    assert run([Kind.SERVER_ERROR] * 4, upstream=alone, attempts=4) == GiveUp("exhausted", "because (d)")


def test_who_failed_before_others_were_served_becomes_a_suspect() -> None:
    """The evidence outlives the attempt."""
    decision = run([Kind.SERVER_ERROR] * 4)
    assert isinstance(decision, RetryAt)
    assert decision.suspect
    quiet = Upstream(models=CHAIN, is_down=False, last_success_at=NOW - timedelta(seconds=1))
    decision = run([Kind.SERVER_ERROR] * 4, upstream=quiet)
    assert isinstance(decision, RetryAt)
    assert not decision.suspect


def test_an_attempt_while_nobody_else_was_served_is_in_doubt() -> None:
    """It waits its backoff, and counts only if others are served meanwhile."""
    quiet = Upstream(models=CHAIN, is_down=False, last_success_at=NOW - timedelta(seconds=1))
    decision = run([Kind.SERVER_ERROR] * 4, upstream=quiet)
    assert isinstance(decision, RetryAt)
    assert not decision.counts
    assert seconds(decision.at) >= 48


def test_an_outage_uses_up_nothing() -> None:
    """While the upstream is down, posts wait and none fails."""
    decision = run([Kind.SERVER_ERROR] * 4, upstream=AWAY, attempts=4)
    assert isinstance(decision, RetryAt)
    assert not decision.counts


def test_a_malformed_answer_is_an_answer() -> None:
    """A model that answers nonsense is up: the attempt counts."""
    decision = run([Kind.SERVER_ERROR, Kind.MALFORMED, Kind.SERVER_ERROR, Kind.SERVER_ERROR], upstream=AWAY)
    assert isinstance(decision, RetryAt)
    assert decision.counts


def test_refused_by_every_model_fails_at_once() -> None:
    """No waiting for what no model will do."""
    assert run([Kind.REFUSED] * 4) == GiveUp("refused", "because (d)")


def test_models_left_after_an_attempt_of_refusals_are_asked_at_once() -> None:
    """A chain longer than an attempt: the next attempt begins now, with the models that have not refused."""
    decision = run([Kind.REFUSED] * 2, policy=Policy(max_retries=1))
    assert isinstance(decision, RetryAt)
    assert decision.at == NOW
    assert decision.trail.refused == ("a", "b")


def test_tags_are_success() -> None:
    """Whatever came before."""
    assert run([Kind.SERVER_ERROR, Kind.TAGGED]) == Tagged(("t",))


def test_backoff_doubles_to_an_hour() -> None:
    """60 s, 120 s, … at most an hour, ± 20 %."""
    waits = [backoff(Policy(), attempts, Random(attempts)) for attempts in (1, 2, 3, 50)]
    for wait, middle in zip(waits, (60, 120, 240, 3600), strict=True):
        assert 0.8 * middle <= wait <= 1.2 * middle


def test_a_trail_survives_its_row() -> None:
    """What is stored is what is read; nonsense is a fresh attempt."""
    trail = AttemptTrail(("a",), 1, ("b",), False, True, NOW)
    assert AttemptTrail.from_json(trail.to_json()) == trail
    assert AttemptTrail.from_json({"delays": "x"}) == AttemptTrail.from_json("junk") == AttemptTrail()
