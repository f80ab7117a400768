"""PURE: what is known of each model, and what follows: whom to ask, or how long to wait.

A model is *set aside* until a time and for a reason; when nobody is left, tagging is paused until the first of
those times. Aside for a fault it is a circuit breaker: after the pause one probe goes through (half-open), and
only its success closes the breaker again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

from services.outcomes import DOWN_KINDS, Kind, Outcome

FAULTS_TO_OPEN = 3
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0
FIRST_ACCOUNT_PAUSE = 60.0
LONGEST_ACCOUNT_PAUSE = 3600.0
LIMIT_PAUSE = 15.0
GONE_FOR = timedelta(days=1)
#: OpenRouter refuses a longer `models` with a 400.
MOST_MODELS = 3


class Aside(StrEnum):
    """Why a model is not asked."""

    DOWN = "down"
    LIMITED = "limited"
    GONE = "gone"
    FORBIDDEN = "forbidden"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class ModelState:
    """One model: set aside until when and why, faults in a row, pauses in a row."""

    model: str
    until: datetime | None = None
    reason: Aside | None = None
    detail: str | None = None
    since: datetime | None = None
    faults: int = 0
    pauses: int = 0

    def is_aside(self, now: datetime) -> bool:
        """Whether it must not be asked now."""
        return self.until is not None and self.until > now

    def is_half_open(self, now: datetime) -> bool:
        """Whether its pause has ended but only a probe may go to it. A limit that passed needs none."""
        return self.until is not None and self.until <= now and self.reason is not Aside.LIMITED


States = Mapping[str, ModelState]


@dataclass(frozen=True, slots=True)
class Admission:
    """How many requests may start: any number, one probe, or none before `until`."""

    capacity: int | None
    until: datetime | None = None


def is_free(model: str) -> bool:
    """Whether OpenRouter counts the model against the limits of free ones."""
    return model.endswith(":free") or model == "openrouter/free"


def is_router(model: str) -> bool:
    """A router picks the model itself: whoever answers is no fault of it."""
    return model.startswith("openrouter/")


def candidates(chain: Sequence[str], states: States, now: datetime, probing: Collection[str]) -> list[str]:
    """Models that may be asked now, in the chain's order; a half-open one only if no probe is out to it."""
    return [model for model in chain if _may_ask(states.get(model), now, model in probing)]


def _may_ask(state: ModelState | None, now: datetime, probing: bool) -> bool:
    if state is None:
        return True
    return not state.is_aside(now) and not (probing and state.is_half_open(now))


def choose_model(
    chain: Sequence[str], allowed: Sequence[str], asked: Sequence[str], refused: Collection[str]
) -> str | None:
    """The next model for a post: after the last one asked, round the chain, untried ones first.

    Args:
        allowed: `candidates` of now. asked: the models this attempt has asked, in order.
        refused: models that will not have this post, ever.
    """
    start = chain.index(asked[-1]) + 1 if asked and asked[-1] in chain else 0
    turn = [*chain[start:], *chain[:start]]
    fit = [model for model in turn if model in allowed and model not in refused]
    return next((model for model in fit if model not in asked), fit[0] if fit else None)


def models_to_send(
    first: str, chain: Sequence[str], allowed: Sequence[str], refused: Collection[str]
) -> tuple[str, ...]:
    """`models` of the request: the first and what follows it in the chain, at most three."""
    rest = [m for m in chain[chain.index(first) + 1 :] if m in allowed and m not in refused]
    return (first, *rest)[:MOST_MODELS]


def fell_back(sent: Sequence[str], answered: str | None) -> bool:
    """Whether a later model of those sent answered, which is a fault of the first.

    Not for routers, nor for another spelling of the first (`:free` gone, a date behind it).
    """
    if answered is None or len(sent) < 2 or is_router(sent[0]):
        return False
    first, who = _plain(sent[0]), _plain(answered)
    if who == first or who.startswith(f"{first}-"):
        return False
    return who in {_plain(model) for model in sent[1:]}


def _plain(model: str) -> str:
    return model.lower().partition(":")[0]


def admission(chain: Sequence[str], states: States, now: datetime, probing: Collection[str]) -> Admission:
    """Whether requests may start. Only half-open models left: one probe at a time, whichever model it goes to."""
    known = [states.get(model) or ModelState(model) for model in chain]
    if any(not state.is_aside(now) and not state.is_half_open(now) for state in known):
        return Admission(None)
    if any(state.is_half_open(now) for state in known):
        return Admission(0 if probing else 1)
    return Admission(0, min((state.until for state in known if state.until), default=None))


def observe(
    states: States,
    chain: Sequence[str],
    sent: Sequence[str],
    answered: str | None,
    outcome: Outcome,
    now: datetime,
    random: Random,
) -> dict[str, ModelState]:
    """The states that an outcome changes. `sent`: the model asked, and those that went along."""
    asked = states.get(sent[0]) or ModelState(sent[0])
    if outcome.kind is Kind.LIMITED:
        return _limited(states, chain, asked, outcome, now)
    if outcome.kind is Kind.ACCOUNT:
        return _account(states, chain, outcome, now)
    if outcome.kind in {Kind.MODEL_GONE, Kind.FORBIDDEN}:
        return {
            asked.model: _set_aside(
                asked,
                _ASIDE[outcome.kind],
                now + GONE_FOR if outcome.kind is Kind.MODEL_GONE else now + timedelta(seconds=600),
                outcome,
                now,
            )
        }
    if outcome.kind in DOWN_KINDS or fell_back(sent, answered):
        return {
            asked.model: _fault(asked, outcome, now, random),
            **_answered(states, sent, answered, outcome),
        }
    return _closed(states, chain, asked, outcome)


_ASIDE = {Kind.MODEL_GONE: Aside.GONE, Kind.FORBIDDEN: Aside.FORBIDDEN}


def _set_aside(state: ModelState, reason: Aside, until: datetime, outcome: Outcome, now: datetime) -> ModelState:
    since = state.since if state.reason is reason and state.since else now
    return replace(state, until=until, reason=reason, detail=outcome.reason, since=since)


def _fault(state: ModelState, outcome: Outcome, now: datetime, random: Random) -> ModelState:
    state = replace(state, faults=state.faults + 1, since=state.since or now)
    if outcome.until is not None and outcome.until > now:
        return _set_aside(state, Aside.DOWN, outcome.until, outcome, now)
    # A fault of a request that left before the breaker opened must not lengthen the pause.
    if state.faults < FAULTS_TO_OPEN or state.is_aside(now):
        return state
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**state.pauses) * random.uniform(0.8, 1.2)
    opened = _set_aside(state, Aside.DOWN, now + timedelta(seconds=pause), outcome, now)
    return replace(opened, pauses=min(state.pauses + 1, 20))


def _answered(states: States, sent: Sequence[str], answered: str | None, outcome: Outcome) -> dict[str, ModelState]:
    if outcome.kind is not Kind.TAGGED or answered is None:
        return {}
    later = next((model for model in sent[1:] if _plain(model) == _plain(answered)), None)
    return {later: ModelState(later)} if later in states and later is not None else {}


def _closed(states: States, chain: Sequence[str], asked: ModelState, outcome: Outcome) -> dict[str, ModelState]:
    """The model gave an answer: it is up. With tags, the account is in order for every model too."""
    changed = {} if asked == ModelState(asked.model) else {asked.model: ModelState(asked.model)}
    if outcome.kind is Kind.TAGGED:
        for model in chain:
            state = states.get(model)
            if state is not None and state.reason is Aside.ACCOUNT:
                changed[model] = ModelState(model)
    return changed


def _limited(
    states: States, chain: Sequence[str], asked: ModelState, outcome: Outcome, now: datetime
) -> dict[str, ModelState]:
    until = outcome.until if outcome.until and outcome.until > now else now + timedelta(seconds=LIMIT_PAUSE)
    models = [m for m in chain if is_free(m)] if outcome.platform and is_free(asked.model) else [asked.model]
    found = (states.get(model) or ModelState(model) for model in {*models, asked.model})
    return {
        state.model: _set_aside(state, Aside.LIMITED, until, outcome, now)
        for state in found
        if not (state.is_aside(now) and state.until and state.until > until)
    }


def _account(states: States, chain: Sequence[str], outcome: Outcome, now: datetime) -> dict[str, ModelState]:
    """A fault of the account stops every model, with a slow probe that doubles to an hour."""
    found = [states.get(model) or ModelState(model) for model in chain]
    if any(state.reason is Aside.ACCOUNT and state.is_aside(now) for state in found):
        return {}
    pauses = max((state.pauses for state in found if state.reason is Aside.ACCOUNT), default=0)
    until = now + timedelta(seconds=min(LONGEST_ACCOUNT_PAUSE, FIRST_ACCOUNT_PAUSE * 2**pauses))
    return {
        state.model: replace(_set_aside(state, Aside.ACCOUNT, until, outcome, now), pauses=min(pauses + 1, 20))
        for state in found
        if state.reason is not Aside.GONE
    }


def pause_reason(chain: Sequence[str], states: States, now: datetime) -> Aside | None:
    """Why nobody may be asked freely (the most serious reason first); None while somebody may."""
    if admission(chain, states, now, ()).capacity is None:
        return None
    reasons = {states[model].reason for model in chain if model in states}
    order = (Aside.ACCOUNT, Aside.FORBIDDEN, Aside.DOWN, Aside.LIMITED, Aside.GONE)
    return next((reason for reason in order if reason in reasons), None)


def free_again_at(chain: Sequence[str], states: States, refused: Collection[str], now: datetime) -> datetime | None:
    """When the first model that has not refused the post may be asked; None when none is set aside."""
    times = [
        state.until
        for model in chain
        if model not in refused and (state := states.get(model)) is not None and state.until is not None
    ]
    return min((time for time in times if time > now), default=None)
