"""PURE: a server's error → the kind of outcome, by the first rule of one table that matches.

The answers that it was made from are in tests/services/llm/server_answers.json.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from services.llm.outcomes import Kind
from services.llm.server_errors import ServerError

TOO_LONG = "the text is too long for the model"
NOT_ACCEPTED = "the request was not accepted"
WRONG_ADDRESS = "the provider failed (nothing answers at this address: is /v1 missing in OPENROUTER_BASE_URL?)"


class Rule(NamedTuple):
    kind: Kind
    wording: str
    matches: Callable[[ServerError], bool]


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


#: OpenRouter's codes and words for models that the account's own settings exclude, and others' for the same.
_EXCLUDED_CODES = frozenset({"privacy_restricted", "region_restricted", "constraint_filtered"})
_EXCLUDED = _any(
    r"data policy",
    r"settings/(?:privacy|preferences)",
    r"guardrail restrictions",
    r"no allowed providers",
    r"providers have been ignored",
    r"\bin your (?:region|country)",
    r"location is not supported",
    r"organization must be verified",
    r"(?:requires|accept)[^.]{0,30} terms|model_terms_required",
    r"not activated the model|modelnotopen",
    r"not allowed to access model|key_model_access_denied",
)
_PARAMETERS = _any(r"no endpoints found that (?:can handle|support)")
_KEY = _any(
    r"(?:incorrect|invalid|unknown|missing|wrong|no) (?:x-)?api[ _-]?(?:key|token)",
    r"api[ _]key (?:not valid|not found|was|has been|is (?:invalid|disabled|expired|not valid|missing|required))",
    r"api_key_(?:invalid|expired|not_found)|invalid_api_key",
    r"no auth credentials",
    r"auth(?:entication|orization) (?:failed|required)|unauthorized",
    r"(?:token|key) (?:has )?expired",
    r"consumer [^.]{0,80}suspended",
    r"authorization header|organization has been (?:restricted|disabled)",
)
_NO_CREDIT = _any(
    r"insufficient[_ ](?:user[_ ]|account[_ ])?(?:quota|balance|credit|funds)",
    r"balance is (?:insufficient|not enough|too low|\W?0\b)|balance (?:exhausted|depleted)",
    r"(?:not enough|no remaining|n['’]t have (?:any|enough)) (?:credit|balance|funds)|no credits\b",
    r"(?:out of|run out of|more) credits|credits? (?:exhausted|depleted|limit exceeded)|key limit exceeded",
    r"exceeded[_ ]current[_ ]quota",
    r"budget has been exceeded|budget_exceeded|exceeded ?budget|(?:over|crossed|exceeded) (?:your |the )?budget",
    r"spend(?:ing)?[_ ](?:limit|cap)",
    r"specified api usage limits",
    r"arrearage|overdue[- ](?:balance|payment|bill)|accountoverdue|account is in good standing",
    r"account[^.]{0,120} (?:is|has been) (?:not active|deactivated|suspended|frozen)",
    r"欠费|余额不足|额度不足|额度已用尽|账户余额|请充值",
    r"billing[_ ](?:not[_ ]active|hard[_ ]limit)|payment (?:required|method)",
    r"credit balance is too low",
    r"exceeded your monthly included credits",
)
#: Gemini says the same of its rate limits, and then names a time to retry.
_CHECK_BILLING = _any(r"check your plan and billing")
_NAMES_A_TIME = _any(r"(?:try again|retry) (?:in|after) \d", r"retrydelay", r"rate-limits", r"per ?(?:minute|day)")
_FLAGGED = _any(
    r"content[_ ]?filter",
    r"content[_ ]?(?:policy|blocked|safety|moderation)",
    r"content management policy",
    r"content exists risk",
    r"responsible ?ai",
    r"usage (?:polic|guideline)",
    # Not a parameter of that name, nor a service that is down.
    r"(?<!['\"`.])\bmoderation(?!['\"`]| (?:service|server|request|endpoint|api)\b)",
    r"\bflagged\b",
    r"(?<!['\"`.])\brefusal\b",
    r"prohibited[_ ]content",
    r"blocked (?:by|due to|because of|for) (?:our |the )?(?:safety|content|polic|gemini)",
    r"safety (?:filter|system|polic|reason|check)",
    r"data_?inspection_?failed",
    r"(?:inappropriate|unsafe|harmful|sensitive) ?(?:content|words)|new_sensitive",
    r"considered high risk",
    r"敏感内容|不安全|违规|不合规",
)
_TOO_LONG = _any(
    r"context[_ ]?(?:length|window|size)",
    r"maximum (?:context|model length|sequence length)|max_seq_len|\bn_(?:keep|ctx)\b",
    r"(?:prompt|input|request|message|text) (?:is )?too (?:long|large)|payload too large",
    r"too many (?:input |prompt )?tokens|token limit exceeded|tokens must be (?:no more|less|at most)",
    r"reduce (?:the length|your (?:prompt|message|input))|must be reduced in order",
    r"(?:input|prompt) tokens? (?:count )?[^.]{0,40}exceed|range of input length",
    r"must have less than \d+ tokens|input tokens is less than|exceed\w* max(?:imum)? length",
    r"exceeds? (?:the )?(?:maximum|model's|available) (?:allowed )?(?:number of tokens|input|context|tokens|length)",
    r"string_above_max_length",
    r"max_new_tokens`? must be",
    r"超长|过长|长度超过|超过最大长度",
)
#: Of servers that limit with another status than 429, or within a 200.
_LIMITED = _any(r"rate[ _-]?limit", r"too[ _]many[ _]requests", r"throttl", r"rate exceeded")
#: What no wait for the next minute mends: the request alone is over the limit.
_OVER_THE_LIMIT_ALONE = _any(r"request too large for", r"must be reduced in order")
_ID = r"[\s:/`'\"“(=]*[^\s`'\"”,;]{0,200}[`'\"”),:]*\s*"
_MODEL_GONE = _any(
    r"no endpoints found",
    r"model_(?:not_found|not_exist|not_available|not_supported|decommissioned|deprecated)|unknown_model|modelnotfound",
    r"unavailable_model|could not find real modelid|suitable inference handler for",
    r"no model id could be identified",
    r"does not work with the specified model",
    # Anthropic's and FastAPI's, of which the model is all that they name.
    r"\Amodel: \S+\s+not_found_error|\bmodel: input should be|invalid value for ['\"`]?model\b",
    r"deployment ?not ?found|api deployment for this resource does not exist",
    # Not a parameter of that name.
    rf"(?<!['\"`.])\bmodels?\b{_ID}(?:is |was |has |been |does |do |could )*(?:currently )?"
    r"(?:not (?:be )?found|not exist|n['’]t exist|not available|no longer|decommissioned|removed|retired|deprecated)",
    rf"(?<!['\"`.])\bmodel\b{_ID}(?:is |was |has |been )*(?:currently )?"
    r"(?:not supported|not enabled|not installed|discontinued|sunset|disabled)",
    r"(?:invalid|unknown|unrecognized|unsupported|unavailable|no such|not a valid|could not find)[^.]{0,12} model\b",
    r"invalid model[_ ]?(?:uri|id|name|identifier)|model identifier is invalid",
    r"model or endpoint|invalidendpointormodel|non-serverless model|dedicated[_ ]endpoint",
    r"function\W{1,3}[0-9a-f-]{8,}\W+not found",
    r"not a chat (?:completion )?model|does not support chat\b|on-demand throughput",
    r"end[ -]of[ -]life",
    r"^requested entity was not found",
    r"free (?:variant|period) has ended|unavailable for free",
    r"模型不存在|模型不可用",
)
_NOT_LOADED = _any(
    r"no models? (?:is |are )?(?:currently )?loaded",
    r"failed to load (?:the )?model(?!.{0,300}(?:does not exist|not found))",
    r"model (?:is |was |has been )?(?:currently )?(?:loading|unloaded|reloaded|crashed|starting|not (?:loaded|ready))",
    r"model has (?:crashed|unloaded)",
    r"degraded function",
)
_NO_JSON = _any(r"json_validate_failed", r"failed to generate json")
ADDRESS_WORDS = _any(
    r"unexpected endpoint or method",
    r"(?:page|path|route|url|endpoint) (?:was )?not found",
    r"no (?:handler|route)\b[^.]{0,20}(?:found|matched)",
    r"cannot post /",
    r"\A\W*not found\W*\Z",
)

#: Statuses under which the words say what is wrong. An error in a 200 without a status counts as a 502.
_WORDS_COUNT = frozenset({400, 403, 404, 406, 409, 410, 412, 422, 498, 500, 502})
_REQUEST_CODES = frozenset({400, 422})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

RULES: tuple[Rule, ...] = (
    Rule(
        Kind.FORBIDDEN,
        "access was forbidden by the account's privacy or provider settings",
        lambda e: (
            e.availability.get("code") in _EXCLUDED_CODES or (e.code in {400, 401, 403, 404} and e.says(_EXCLUDED))
        ),
    ),
    Rule(Kind.UNSUPPORTED, NOT_ACCEPTED, lambda e: e.code == 404 and e.says(_PARAMETERS)),
    Rule(Kind.MODEL_GONE, "model is not available", lambda e: e.availability.get("retryable") is False),
    Rule(
        Kind.ACCOUNT,
        "the API key was not accepted",
        lambda e: e.code == 401 or (e.code in {400, 403, 500, 502} and e.says(_KEY)),
    ),
    Rule(
        Kind.ACCOUNT,
        "the account is out of credit",
        lambda e: (
            e.code == 402
            or (e.code in {*_WORDS_COUNT, 429} and e.says(_NO_CREDIT) and "free-models-per" not in e.text)
            or (e.code == 429 and e.says(_CHECK_BILLING) and not e.says(_NAMES_A_TIME))
        ),
    ),
    Rule(Kind.REFUSED, "refused by moderation", lambda e: e.code == 403 and bool(e.metadata.get("reasons"))),
    Rule(Kind.REFUSED, TOO_LONG, lambda e: e.code == 429 and e.says(_OVER_THE_LIMIT_ALONE)),
    Rule(Kind.LIMITED, "the day's quota is used up", lambda e: e.code == 429 and e.is_daily),
    Rule(
        Kind.LIMITED,
        "too many requests",
        lambda e: e.code == 429 or (e.code in {400, 403, 502, 503} and e.says(_LIMITED)),
    ),
    Rule(Kind.SERVER_ERROR, "the model has no capacity", lambda e: bool(e.availability.get("retryable"))),
    Rule(Kind.REFUSED, "the model refuses the text", lambda e: e.code in _WORDS_COUNT and e.says(_FLAGGED)),
    Rule(
        Kind.SERVER_ERROR,
        "the provider failed (the model is not loaded)",
        lambda e: e.code in _WORDS_COUNT and e.says(_NOT_LOADED),
    ),
    Rule(Kind.SERVER_ERROR, WRONG_ADDRESS, lambda e: e.code in _WORDS_COUNT and e.says(ADDRESS_WORDS)),
    Rule(
        Kind.MODEL_GONE,
        "no such model",
        lambda e: e.code in _WORDS_COUNT and (e.says(_MODEL_GONE) or (e.code == 404 and "'model'" in e.text)),
    ),
    Rule(Kind.FORBIDDEN, "access was forbidden", lambda e: e.code in {403, 451}),
    Rule(Kind.REFUSED, TOO_LONG, lambda e: e.code == 413 or (400 <= e.code < 600 and e.says(_TOO_LONG))),
    Rule(Kind.SERVER_ERROR, WRONG_ADDRESS, lambda e: e.code in {404, 405, 410}),
    Rule(
        Kind.MALFORMED,
        "no usable answer (the model made no valid JSON)",
        lambda e: e.code in _REQUEST_CODES and e.says(_NO_JSON),
    ),
    Rule(Kind.UNSUPPORTED, NOT_ACCEPTED, lambda e: e.code in _REQUEST_CODES),
    Rule(Kind.TIMEOUT, "the provider timed out", lambda e: e.code in {408, 504, 524}),
    Rule(
        Kind.SERVER_ERROR,
        "the provider failed (it redirects, which is not followed)",
        lambda e: e.code in _REDIRECTS,
    ),
    Rule(
        Kind.SERVER_ERROR,
        "the provider failed (the proxy of HTTP_PROXY wants a name and a password)",
        lambda e: e.code == 407,
    ),
    Rule(Kind.SERVER_ERROR, "the provider failed", lambda _: True),
)


def rule_of(error: ServerError) -> Rule:
    return next(rule for rule in RULES if rule.matches(error))
