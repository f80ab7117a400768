"""PURE: what a request's outcome changes in the models' states.

A model is *set aside* until a time and for a reason; with every model aside tagging is paused until the first of those
times. When a pause after a fault ends, one probe goes through (half-open); its success closes the breaker.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

from services.availability.model_names import fell_back, is_free, plain_name
from services.llm.outcomes import DOWN_KINDS, Kind, Outcome

FAULTS_TO_OPEN = 3
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0
FIRST_ACCOUNT_PAUSE = 60.0
LONGEST_ACCOUNT_PAUSE = 3600.0
#: After a limit that names no reset, doubling.
FIRST_LIMIT_PAUSE = 15.0
GONE_FOR = timedelta(days=1)
FORBIDDEN_FOR = timedelta(minutes=10)


class Aside(StrEnum):
    DOWN = "down"
    LIMITED = "limited"
    GONE = "gone"
    FORBIDDEN = "forbidden"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class ModelState:
    """Until when and why a model is set aside, its faults in a row, its pauses in a row."""

    model: str
    until: datetime | None = None
    reason: Aside | None = None
    detail: str | None = None
    since: datetime | None = None
    faults: int = 0
    pauses: int = 0
    #: Until then a probe may be under way, in whichever process.
    probe_until: datetime | None = None

    def is_aside(self, now: datetime) -> bool:
        return self.until is not None and self.until > now

    def is_half_open(self, now: datetime) -> bool:
        """Whether its pause has ended but only a probe may go to it. A limit that passed needs none."""
        return self.until is not None and self.until <= now and self.reason is not Aside.LIMITED

    def is_open(self, now: datetime) -> bool:
        return self.is_aside(now) or self.is_half_open(now)

    def is_probed(self, now: datetime) -> bool:
        return self.probe_until is not None and self.probe_until > now


States = Mapping[str, ModelState]


def observe(
    states: States,
    chain: Sequence[str],
    sent: Sequence[str],
    answered: str | None,
    outcome: Outcome,
    now: datetime,
    random: Random,
    *,
    suspect: bool = False,
    is_probe: bool = False,
) -> dict[str, ModelState]:
    """The states that an outcome changes.

    Args:
        sent: the model asked, and those sent along for OpenRouter's fallback.
        is_probe: the request was a model's probe, whose end only itself may record.
        suspect: the post fails while others are served, so its fault says little of the model.
    """
    asked = states.get(sent[0]) or ModelState(sent[0])
    if is_probe:
        asked = replace(asked, probe_until=None)
    # A suspect's fault, or one of a request that left before the breaker opened, says nothing new of the model.
    if outcome.kind in DOWN_KINDS and not is_probe and (suspect or asked.is_half_open(now)):
        return {}
    changed = _observed(states, chain, sent, answered, outcome, asked, now, random, is_probe)
    if is_probe and asked.model not in changed and asked != states.get(asked.model, ModelState(asked.model)):
        changed[asked.model] = asked
    return changed


def _observed(
    states: States,
    chain: Sequence[str],
    sent: Sequence[str],
    answered: str | None,
    outcome: Outcome,
    asked: ModelState,
    now: datetime,
    random: Random,
    is_probe: bool,
) -> dict[str, ModelState]:
    match outcome.kind:
        case Kind.LIMITED:
            return _limited(states, chain, asked, outcome, now)
        case Kind.ACCOUNT:
            return _account(states, chain, outcome, now)
        case Kind.FORBIDDEN:
            return _forbidden(states, chain, asked, outcome, now)
        case Kind.MODEL_GONE:
            return {asked.model: _set_aside(asked, Aside.GONE, now + GONE_FOR, outcome, now)}
    over = _outage_over(states, chain, now) if is_probe and outcome.kind is Kind.TAGGED else {}
    states = {**states, **over}
    if outcome.kind in DOWN_KINDS or fell_back(sent, answered):
        faulty = _fault(asked, outcome, now, random)
        return {**over, **_all_down(states, chain, faulty, now), **_answered(states, sent, answered, outcome)}
    return {**over, **_closed(states, chain, asked, outcome, now, is_probe)}


def _outage_over(states: States, chain: Sequence[str], now: datetime) -> dict[str, ModelState]:
    """While no model could be asked a probe was answered: those that were down with it start anew, or the pauses of
    one outage would go on in the next."""
    found = [states.get(model) or ModelState(model) for model in chain]
    if not all(state.is_open(now) for state in found):
        return {}
    return {state.model: ModelState(state.model) for state in found if state.reason is Aside.DOWN}


def _set_aside(state: ModelState, reason: Aside, until: datetime, outcome: Outcome, now: datetime) -> ModelState:
    since = state.since if state.reason is reason and state.since else now
    return replace(state, until=until, reason=reason, detail=outcome.reason, since=since)


def _fault(state: ModelState, outcome: Outcome, now: datetime, random: Random) -> ModelState:
    state = replace(state, faults=state.faults + 1, since=state.since or now)
    if outcome.until is not None and outcome.until > now:
        return _set_aside(state, Aside.DOWN, min(outcome.until, now + timedelta(seconds=LONGEST_PAUSE)), outcome, now)
    # A fault of a request that left before the breaker opened must not lengthen the pause.
    if state.faults < FAULTS_TO_OPEN or state.is_aside(now):
        return state
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**state.pauses) * random.uniform(0.8, 1.2)
    opened = _set_aside(state, Aside.DOWN, now + timedelta(seconds=pause), outcome, now)
    return replace(opened, pauses=min(state.pauses + 1, 20))


def _all_down(states: States, chain: Sequence[str], faulty: ModelState, now: datetime) -> dict[str, ModelState]:
    """The faulty model's new state. When no model is left to ask, all share one pause and one probe: an outage of
    hours must not cost a probe for each model."""
    others = [states.get(model) or ModelState(model) for model in chain if model != faulty.model]
    if not faulty.is_aside(now) or faulty.until is None or any(state.until is None for state in others):
        return {faulty.model: faulty}
    down = [state for state in others if state.reason is Aside.DOWN and state.until is not None]
    until, pauses = faulty.until, max([faulty.pauses, *(state.pauses for state in down)])
    joined = (replace(state, until=max(state.until or until, until), pauses=pauses) for state in down)
    return {faulty.model: replace(faulty, pauses=pauses), **{state.model: state for state in joined}}


def _answered(states: States, sent: Sequence[str], answered: str | None, outcome: Outcome) -> dict[str, ModelState]:
    if outcome.kind is not Kind.TAGGED or answered is None:
        return {}
    later = next((model for model in sent[1:] if plain_name(model) == plain_name(answered)), None)
    return {later: ModelState(later)} if later in states and later is not None else {}


def _closed(
    states: States, chain: Sequence[str], asked: ModelState, outcome: Outcome, now: datetime, is_probe: bool
) -> dict[str, ModelState]:
    mended = [asked.model] if asked.model in states else []
    if outcome.kind is Kind.TAGGED:
        mended += [model for model in chain if model in states and states[model].reason is Aside.ACCOUNT]
    return {model: ModelState(model) for model in mended if is_probe or not _stands(states[model], now)}


def _stands(state: ModelState, now: datetime) -> bool:
    """Whether a limit or a refusal stands, although a request that left before it is answered now."""
    return state.is_aside(now) and state.reason is not Aside.DOWN


def _limited(
    states: States, chain: Sequence[str], asked: ModelState, outcome: Outcome, now: datetime
) -> dict[str, ModelState]:
    models = [m for m in chain if is_free(m)] if outcome.platform and is_free(asked.model) else []
    found = [asked, *(states.get(model) or ModelState(model) for model in models if model != asked.model)]
    if outcome.until and outcome.until > now:
        until, pauses = outcome.until, asked.pauses
    elif asked.is_aside(now):
        # The answer to a request that left before the pause began must not lengthen it.
        return {}
    else:
        seconds = min(LONGEST_PAUSE, FIRST_LIMIT_PAUSE * 2**asked.pauses)
        until, pauses = now + timedelta(seconds=seconds), asked.pauses + 1
    return {
        state.model: replace(_set_aside(state, Aside.LIMITED, until, outcome, now), pauses=min(pauses, 20))
        for state in found
        if not (state.is_aside(now) and (state.until or now) > until) and state.reason is not Aside.GONE
    }


def _forbidden(
    states: States, chain: Sequence[str], asked: ModelState, outcome: Outcome, now: datetime
) -> dict[str, ModelState]:
    """Set one model aside; when every model left has answered the same, the account is at fault."""
    forbidden = _set_aside(asked, Aside.FORBIDDEN, now + FORBIDDEN_FOR, outcome, now)
    known = {**states, asked.model: forbidden}
    others = [known.get(model) or ModelState(model) for model in chain]
    refusing = (Aside.FORBIDDEN, Aside.ACCOUNT)
    if all(state.reason in refusing or (state.reason is Aside.GONE and state.is_aside(now)) for state in others):
        return _account(known, chain, outcome, now)
    return {asked.model: forbidden}


def _account(states: States, chain: Sequence[str], outcome: Outcome, now: datetime) -> dict[str, ModelState]:
    """A fault of the account stops every model, with a slow probe that doubles to an hour."""
    found = [states.get(model) or ModelState(model) for model in chain]
    paused = [state for state in found if state.reason is Aside.ACCOUNT]
    if any(state.is_aside(now) for state in paused):
        return {}
    pauses = max((state.pauses for state in paused), default=0)
    until = now + timedelta(seconds=min(LONGEST_ACCOUNT_PAUSE, FIRST_ACCOUNT_PAUSE * 2**pauses))
    return {
        state.model: replace(
            _set_aside(state, Aside.ACCOUNT, until, outcome, now), pauses=min(pauses + 1, 20), probe_until=None
        )
        for state in found
        if state.reason is not Aside.GONE
    }


def quota_spent(states: States, chain: Sequence[str], until: datetime, now: datetime) -> dict[str, ModelState]:
    spent = Outcome(Kind.LIMITED, "the day's quota is used up")
    found = (states.get(model) or ModelState(model) for model in chain if is_free(model))
    return {
        state.model: _set_aside(state, Aside.LIMITED, until, spent, now)
        for state in found
        if not (state.is_aside(now) and (state.until or now) >= until) and state.reason is not Aside.GONE
    }
