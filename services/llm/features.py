"""Which features of a request a server takes, learnt for each model and forgotten after a day.

A feature is left out if an error names it, or if the same request succeeds without it.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from services.llm.server_errors import ServerError


class Feature(StrEnum):
    """A part of the request that some servers refuse."""

    MODELS = "models"
    PLUGINS = "plugins"
    RESPONSE_FORMAT = "response_format"
    MAX_TOKENS = "max_tokens"
    #: Sent in place of max_tokens to servers that refuse it.
    MAX_COMPLETION_TOKENS = "max_completion_tokens"
    SYSTEM_ROLE = "the system role"


OPENROUTER_FEATURES = frozenset({Feature.MODELS, Feature.PLUGINS})
ANSWER_LIMITS = frozenset({Feature.MAX_TOKENS, Feature.MAX_COMPLETION_TOKENS})

LEFT_OUT_FOR = timedelta(days=1)
#: After trials that changed nothing, other texts are not tried so for a while, unless the model answers.
_NO_TRIALS_FOR = timedelta(seconds=50)
_MOST_TRIALS = 1000
#: After an error that names nothing, the same request is tried without these, one step after the other.
_TRIALS: tuple[frozenset[Feature], ...] = (
    frozenset({Feature.RESPONSE_FORMAT}),
    frozenset({Feature.RESPONSE_FORMAT}) | OPENROUTER_FEATURES,
)

_NAMED = {
    Feature.MODELS: re.compile(
        r"['\"`]models['\"`]|\bbody\.models\b|"
        r"\b(?:argument|parameter|field|propert|key|extra|input)\w*\b[^.\n]{0,60}\bmodels\b|"
        r"\bmodels\b\W{1,3}(?:extra|field|un\w+|(?:is )?not (?:allowed|supported|permitted|valid))\b"
    ),
    Feature.PLUGINS: re.compile(r"\bplugins?\b|response.healing"),
    Feature.RESPONSE_FORMAT: re.compile(
        r"response.?format|json.?(?:schema|object|mode)|structured.?outputs?|text\.format|guided|grammar|"
        r"\bschema (?:produces|is|has|with)|(?:invalid|the|specified|response) schema\b|requested parameters"
    ),
    Feature.SYSTEM_ROLE: re.compile(
        r"system.?(?:role|message|instruction|prompt)|developer instruction|roles? must alternate|"
        r"only (?:support )?user (?:and|or) assistant|be 'user' or 'assistant'|"
        r"roles should be alternating|should alternate with assistant|"
        r"(?:first|last) (?:message|content|turn)\b[^.\n]{0,40}\buser\b|\.role\b|['\"`]system['\"`]"
    ),
    Feature.MAX_COMPLETION_TOKENS: re.compile(r"\bmax_completion_tokens\b"),
    Feature.MAX_TOKENS: re.compile(
        r"\bmax_tokens\b|in the (?:completion|output)|output tokens|completion tokens|\bmax_new_tokens\b"
    ),
}
_USE_THE_SUBSTITUTE = re.compile(r"use\W{1,3}max_completion_tokens")


def named_in(error: ServerError) -> frozenset[Feature]:
    """The features that the error names: max_tokens and its substitute together, unless it asks for the substitute."""
    named = {feature for feature, pattern in _NAMED.items() if error.says(pattern)}
    if error.says(_USE_THE_SUBSTITUTE):
        named -= {Feature.MAX_COMPLETION_TOKENS}
    elif named & ANSWER_LIMITS:
        named |= ANSWER_LIMITS
    return frozenset(named)


class FeatureMemory:
    def __init__(self, features: Iterable[Feature]) -> None:
        self._all = frozenset(features)
        self._left_out: dict[tuple[str, Feature], datetime] = {}
        self._trials: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._in_vain_until: dict[str, datetime] = {}

    def to_send(self, model: str, texts: Sequence[str], now: datetime) -> frozenset[Feature]:
        known = self._known(model, now)
        step = max(self._trials.get((model, hash(text)), 0) for text in texts)
        return known - _TRIALS[step - 1] if step else known

    def refused(
        self, model: str, texts: Sequence[str], sent: frozenset[Feature], named: frozenset[Feature], now: datetime
    ) -> frozenset[Feature]:
        """Learn from a refused request; returns what the next one about these texts leaves out."""
        if guilty := named & sent:
            self._leave_out(model, named & self._all, now)
            return guilty
        steps = () if self._in_vain_until.get(model, now) > now else enumerate(_TRIALS, start=1)
        for step, without in steps:
            if carried := sent & without:
                self._try(model, texts, step)
                return carried
        if not sent & _TRIALS[-1]:
            self._in_vain_until[model] = now + _NO_TRIALS_FOR
        self._try(model, texts, 0)
        return frozenset()

    def accepted(self, model: str, texts: Sequence[str], sent: frozenset[Feature], now: datetime) -> frozenset[Feature]:
        """Learn from an answered request; returns what an earlier one was refused for, if this was its trial."""
        self._in_vain_until.pop(model, None)
        step = max(self._trials.get((model, hash(text)), 0) for text in texts)
        self._try(model, texts, 0)
        if not step:
            return frozenset()
        tried_before = _TRIALS[step - 2] if step > 1 else frozenset()
        guilty = (self._known(model, now) & _TRIALS[step - 1]) - sent - tried_before
        self._leave_out(model, guilty, now)
        return guilty

    def _known(self, model: str, now: datetime) -> frozenset[Feature]:
        out = {feature for feature in self._all if self._left_out.get((model, feature), now) > now}
        # One limit on the answer's length goes along: max_tokens while the server takes it.
        out |= {Feature.MAX_COMPLETION_TOKENS} if Feature.MAX_TOKENS not in out else set()
        return self._all - out

    def _leave_out(self, model: str, features: Iterable[Feature], now: datetime) -> None:
        self._left_out |= {(model, feature): now + LEFT_OUT_FOR for feature in features}

    def _try(self, model: str, texts: Sequence[str], step: int) -> None:
        for text in texts:
            self._trials.pop((model, hash(text)), None)
            if step:
                self._trials[model, hash(text)] = step
        while len(self._trials) > _MOST_TRIALS:
            self._trials.popitem(last=False)
