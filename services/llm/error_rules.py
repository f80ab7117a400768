"""PURE: a server's error → the kind of outcome, by the first rule of one table that matches.

The answers that it was made from are in tests/services/llm/server_answers.json.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from services.llm.outcomes import Kind
from services.llm.server_errors import ServerError


class Rule(NamedTuple):
    kind: Kind
    wording: str
    matches: Callable[[ServerError], bool]


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


#: OpenRouter's codes and words for models that the account's own settings exclude.
_EXCLUDED_CODES = frozenset({"privacy_restricted", "region_restricted", "constraint_filtered"})
_EXCLUDED = _any(
    r"data policy",
    r"settings/privacy",
    r"guardrail restrictions",
    r"no allowed providers",
    r"\bin your (?:region|country)",
    r"location is not supported",
)
_PARAMETERS = _any(r"no endpoints found that (?:can handle|support)")
_KEY = _any(
    r"(?:incorrect|invalid) api[ _]key",
    r"api key (?:not valid|was|has been|is (?:invalid|disabled|expired))",
    r"api_key_invalid",
    r"no auth credentials",
)
_NO_CREDIT = _any(
    r"insufficient[_ ](?:user[_ ])?(?:quota|balance|credit|funds)",
    r"balance is (?:insufficient|not enough)",
    r"n['’]t have any credits|out of credits|key limit exceeded|budget has been exceeded|budget_exceeded",
    r"欠费|余额不足|额度不足",
    r"billing[_ ](?:not[_ ]active|hard[_ ]limit)",
    r"credit balance is too low",
    r"exceeded your monthly included credits",
)
#: Gemini says the same of its rate limits, and then names a time to retry.
_CHECK_BILLING = _any(r"check your plan and billing")
_NAMES_A_TIME = _any(r"(?:try again|retry) (?:in|after) \d", r"retrydelay", r"rate-limits", r"per ?(?:minute|day)")
_FLAGGED = _any(
    r"content[_ ]?filter",
    r"content[_ ]policy",
    r"content management policy",
    r"content exists risk",
    r"responsibleaipolicy",
    r"usage polic",
    r"moderation",
    r"\bflagged\b",
    r"\brefusal\b",
    r"prohibited[_ ]content",
    r"blocked (?:by|due to|because of) (?:our |the )?(?:safety|content|polic)",
    r"safety (?:filter|system|polic|reason)",
    r"data_inspection_failed",
    r"inappropriate content",
    r"considered high risk",
    r"敏感内容",
)
_TOO_LONG = _any(
    r"context[_ ](?:length|window|size)",
    r"maximum context",
    r"prompt is too long",
    r"input (?:is )?too long",
    r"too many (?:input |prompt )?tokens",
    r"reduce the length",
    r"exceeds? the (?:maximum|model's|available) (?:number of tokens|input|context)",
    r"string_above_max_length",
    r"max_new_tokens`? must be",
)
_ID = r"[\s:/`'\"“(=]*[^\s`'\"”,;]{0,200}[`'\"”),:]*\s*"
_MODEL_GONE = _any(
    r"no endpoints found",
    r"model_(?:not_found|not_exist|not_available|not_supported|decommissioned|deprecated)",
    r"deployment ?not ?found|api deployment for this resource does not exist",
    rf"\bmodels?\b{_ID}(?:is |was |has |been |does |do |could )*(?:currently )?"
    r"(?:not (?:be )?found|not exist|n['’]t exist|not available|no longer|decommissioned|removed|retired|deprecated)",
    r"(?:invalid|unknown|unrecognized|no such|not a valid) model\b",
    r"free (?:variant|period) has ended|unavailable for free",
    r"模型不存在",
)
_NOT_LOADED = _any(
    r"no models? loaded",
    r"failed to load (?:the )?model",
    r"model (?:is |was )?(?:currently )?(?:loading|unloaded|crashed)",
    r"model has (?:crashed|unloaded)",
)
_NO_JSON = _any(r"json_validate_failed", r"failed to generate json")
_ADDRESS = _any(
    r"unexpected endpoint or method", r"(?:page|path|route|url|endpoint) (?:was )?not found", r"cannot post /"
)

_MODEL_CODES = frozenset({400, 403, 404, 410, 422})
_REQUEST_CODES = frozenset({400, 422})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

RULES: tuple[Rule, ...] = (
    Rule(
        Kind.FORBIDDEN,
        "access was forbidden by the account's privacy or provider settings",
        lambda e: e.availability.get("code") in _EXCLUDED_CODES or (e.code in {400, 403, 404} and e.says(_EXCLUDED)),
    ),
    Rule(Kind.UNSUPPORTED, "the request was not accepted", lambda e: e.code == 404 and e.says(_PARAMETERS)),
    Rule(Kind.MODEL_GONE, "model is not available", lambda e: e.availability.get("retryable") is False),
    Rule(
        Kind.ACCOUNT,
        "the API key was not accepted",
        lambda e: e.code == 401 or (e.code in {400, 403} and e.says(_KEY)),
    ),
    Rule(
        Kind.ACCOUNT,
        "the account is out of credit",
        lambda e: (
            e.code == 402
            or (e.code in {400, 403, 429} and e.says(_NO_CREDIT))
            or (e.code == 429 and e.says(_CHECK_BILLING) and not e.says(_NAMES_A_TIME))
        ),
    ),
    Rule(Kind.REFUSED, "refused by moderation", lambda e: e.code == 403 and bool(e.metadata.get("reasons"))),
    Rule(Kind.REFUSED, "the model refuses the text", lambda e: e.code in {400, 403, 422} and e.says(_FLAGGED)),
    Rule(Kind.LIMITED, "the day's quota is used up", lambda e: e.code == 429 and e.is_daily),
    Rule(Kind.LIMITED, "too many requests", lambda e: e.code == 429),
    Rule(Kind.SERVER_ERROR, "the model has no capacity", lambda e: bool(e.availability.get("retryable"))),
    Rule(
        Kind.SERVER_ERROR,
        "the provider failed (the model is not loaded)",
        lambda e: e.code in _MODEL_CODES and e.says(_NOT_LOADED),
    ),
    Rule(Kind.MODEL_GONE, "no such model", lambda e: e.code in _MODEL_CODES and e.says(_MODEL_GONE)),
    Rule(Kind.FORBIDDEN, "access was forbidden", lambda e: e.code == 403),
    Rule(
        Kind.REFUSED,
        "the text is too long for the model",
        lambda e: e.code == 413 or (400 <= e.code < 600 and e.says(_TOO_LONG)),
    ),
    Rule(
        Kind.SERVER_ERROR,
        "the provider failed (nothing answers at this address: is /v1 missing in OPENROUTER_BASE_URL?)",
        lambda e: e.code in {404, 405, 410} or e.says(_ADDRESS),
    ),
    Rule(
        Kind.MALFORMED,
        "no usable answer (the model made no valid JSON)",
        lambda e: e.code in _REQUEST_CODES and e.says(_NO_JSON),
    ),
    Rule(Kind.UNSUPPORTED, "the request was not accepted", lambda e: e.code in _REQUEST_CODES),
    Rule(Kind.TIMEOUT, "the provider timed out", lambda e: e.code in {408, 504, 524}),
    Rule(
        Kind.SERVER_ERROR,
        "the provider failed (it redirects, which is not followed)",
        lambda e: e.code in _REDIRECTS,
    ),
    Rule(Kind.SERVER_ERROR, "the provider failed", lambda _: True),
)


def rule_of(error: ServerError) -> Rule:
    return next(rule for rule in RULES if rule.matches(error))
