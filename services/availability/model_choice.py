"""PURE: which model is asked next, and how long to wait when none may be asked."""

from collections.abc import Collection, Sequence
from datetime import datetime

from services.availability.circuit_breaker import Aside, ModelState, States

#: OpenRouter refuses a longer `models` with a 400.
MOST_MODELS = 3


def candidates(chain: Sequence[str], states: States, now: datetime) -> list[str]:
    """Models that may be asked now, in the chain's order; a half-open one only if no probe is out to it."""
    return [model for model in chain if _may_ask(states.get(model), now)]


def _may_ask(state: ModelState | None, now: datetime) -> bool:
    if state is None:
        return True
    return not state.is_aside(now) and not (state.is_half_open(now) and state.is_probed(now))


def choose_model(
    chain: Sequence[str], allowed: Sequence[str], asked: Sequence[str], refused: Collection[str]
) -> str | None:
    """The next model for a post: after the last one `asked` in this attempt, round the chain, untried ones first.

    A model that `refused` the post is never asked about it again.
    """
    start = chain.index(asked[-1]) + 1 if asked and asked[-1] in chain else 0
    turn = [*chain[start:], *chain[:start]]
    fit = [model for model in turn if model in allowed and model not in refused]
    return next((model for model in fit if model not in asked), fit[0] if fit else None)


def models_to_send(
    first: str, chain: Sequence[str], allowed: Sequence[str], refused: Collection[str]
) -> tuple[str, ...]:
    """`models` of the request: the first and what follows it in the chain, MOST_MODELS at most."""
    rest = [m for m in chain[chain.index(first) + 1 :] if m in allowed and m not in refused]
    return (first, *rest)[:MOST_MODELS]


def is_paused(chain: Sequence[str], states: States, now: datetime) -> bool:
    """Whether every model is set aside or half-open: at most a probe may start."""
    known = [states.get(model) for model in chain]
    return all(state is not None and state.is_open(now) for state in known)


def next_probe_at(chain: Sequence[str], states: States, now: datetime) -> datetime | None:
    """When a probe may start in a pause: `now`, when the one under way should have ended, or when a pause ends.

    One probe at a time, to whichever model.
    """
    known = [states[model] for model in chain if model in states]
    if any(state.is_half_open(now) for state in known):
        return min((state.probe_until for state in known if state.probe_until and state.is_probed(now)), default=now)
    return min((state.until for state in known if state.until), default=None)


def pause_reason(chain: Sequence[str], states: States, now: datetime) -> Aside | None:
    """Why tagging is paused, the most serious reason first; None while any model may be asked freely."""
    if not is_paused(chain, states, now):
        return None
    reasons = {states[model].reason for model in chain if model in states}
    order = (Aside.ACCOUNT, Aside.FORBIDDEN, Aside.DOWN, Aside.LIMITED, Aside.GONE)
    return next((reason for reason in order if reason in reasons), None)


def free_again_at(chain: Sequence[str], states: States, refused: Collection[str], now: datetime) -> datetime | None:
    """When the first model that has not refused the post may be asked; None when none is set aside."""
    known = [states[model] for model in chain if model not in refused and model in states]
    times = [time for state in known for time in (state.until, state.probe_until) if time is not None]
    return min((time for time in times if time > now), default=None)
