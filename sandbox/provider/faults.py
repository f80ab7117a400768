"""All faults of the provider: FAULTS maps a name to an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiohttp import web

from sandbox.provider.exchange import Exchange, Fault, Json, answer, dumped, error
from sandbox.provider.hostile_bodies import HOSTILE_BODIES
from sandbox.provider.hostile_wire import HOSTILE_WIRE
from sandbox.provider.malformed import MALFORMED, UNUSABLE
from sandbox.provider.mixed import MIXED

HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1>nginx</body></html>"


def _error(status: int, message: str, metadata: Json | None = None, availability: Json | None = None) -> Fault:
    async def fault(ex: Exchange) -> web.StreamResponse:
        return error(status, message.format(model=ex.model), metadata=metadata, availability=availability)

    return fault


def _body(change: Callable[[Json], Json]) -> Fault:
    async def fault(ex: Exchange) -> web.StreamResponse:
        return answer(change(ex.completion(ex.content())))

    return fault


def _content(make: Callable[[Exchange], str | None], finish_reason: str = "stop") -> Fault:
    async def fault(ex: Exchange) -> web.StreamResponse:
        return answer(ex.completion(make(ex), finish_reason))

    return fault


def _html(status: int) -> Fault:
    async def fault(ex: Exchange) -> web.StreamResponse:
        return web.Response(text=HTML, status=status, content_type="text/html")

    return fault


async def _error_in_choice(ex: Exchange) -> web.StreamResponse:
    body = ex.completion("", "error")
    body["choices"][0]["error"] = {"code": 502, "message": "Upstream error: the model stopped"}
    return answer(body)


async def _refusal_text(ex: Exchange) -> web.StreamResponse:
    return answer(ex.completion(None, "stop", refusal="I'm sorry, I can't help with this text."))


async def _not_json(ex: Exchange) -> web.StreamResponse:
    return web.Response(text="upstream connect error or disconnect/reset before headers")


async def _wrong_encoding(ex: Exchange) -> web.StreamResponse:
    text = dumped(ex.completion(ex.content() + " конец")).decode()
    body = text.encode("cp1251", "replace")
    return web.Response(body=body, content_type="application/json", charset="utf-8")


async def _truncated_body(ex: Exchange) -> web.StreamResponse:
    whole = dumped(ex.completion(ex.content()))
    return web.Response(body=whole[: len(whole) // 2], content_type="application/json")


async def _drop(ex: Exchange) -> web.StreamResponse:
    if ex.request.transport is not None:
        ex.request.transport.abort()
    return web.Response()


async def _drop_midway(ex: Exchange) -> web.StreamResponse:
    whole = dumped(ex.completion(ex.content()))
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(whole)
    await response.prepare(ex.request)
    await response.write(whole[: len(whole) // 2])
    if ex.request.transport is not None:
        ex.request.transport.abort()
    return response


async def _hang(ex: Exchange) -> web.StreamResponse:
    await asyncio.sleep(ex.hang_seconds)
    return error(504, "Gateway timeout")


async def _slow(ex: Exchange) -> web.StreamResponse:
    await asyncio.sleep(ex.slow_seconds)
    return answer(ex.completion(ex.content()))


async def _huge(ex: Exchange) -> web.StreamResponse:
    return answer(ex.completion("tags " * 300_000))


async def _redirect_host(ex: Exchange) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": ex.redirect_to})


def platform_limit(
    scope: str, limit: int, reset_after: float, *, in_headers: bool = True, used: bool = True
) -> web.Response:
    """OpenRouter's own 429; `scope` is 'min' or 'day', the reset is in Unix milliseconds."""
    headers = {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": "0" if used else str(limit),
        "X-RateLimit-Reset": str(int((time.time() + reset_after) * 1000)),
    }
    return error(
        429,
        f"Rate limit exceeded: free-models-per-{scope}. ",
        metadata={"headers": headers, "provider_name": None},
        headers=headers if in_headers else None,
    )


def _platform_limit(scope: str, limit: int, *, in_headers: bool = True, day: bool = False) -> Fault:
    async def fault(ex: Exchange) -> web.StreamResponse:
        after = 86_400 - time.time() % 86_400 if day else ex.reset_after
        return platform_limit(scope, limit, after, in_headers=in_headers)

    return fault


async def _rate_limit_provider(ex: Exchange) -> web.StreamResponse:
    return error(
        429,
        "Provider returned error",
        metadata={
            "raw": f"{ex.model} is temporarily rate-limited upstream. Please retry shortly.",
            "provider_name": "SandboxCloud",
        },
        headers={"Retry-After": str(max(1, round(ex.reset_after)))},
    )


def _text(status: int, text: str) -> Fault:
    async def fault(ex: Exchange) -> web.StreamResponse:
        return web.Response(text=text, status=status)

    return fault


def _elsewhere(put: Callable[[str], Json]) -> Fault:
    """The right answer, in another field of the message than its content."""

    async def fault(ex: Exchange) -> web.StreamResponse:
        return answer(ex.completion(None, **put(ex.content())))

    return fault


def _called(arguments: str) -> Json:
    return {"tool_calls": [{"id": "1", "type": "function", "function": {"name": "tags", "arguments": arguments}}]}


def _gone(code: str) -> Json:
    return {"code": code, "retryable": False, "fallback_models": ["openrouter/free"]}


#: Right answers that stand where reasoning or a tool's arguments do.
ELSEWHERE: dict[str, Fault] = {
    "tags_in_reasoning_content": _elsewhere(lambda content: {"reasoning_content": content}),
    "tags_in_reasoning": _elsewhere(lambda content: {"reasoning": content}),
    "tags_in_a_tool_call": _elsewhere(_called),
}

FAULTS: dict[str, Fault] = {
    # Upstream faults.
    "http_500": _error(500, "Internal Server Error"),
    "http_502": _error(502, "Provider returned error", {"error_type": "provider_unavailable"}),
    "http_503": _error(503, "No healthy upstream", {"error_type": "provider_overloaded"}),
    "http_504": _error(504, "The upstream timed out", {"error_type": "timeout"}),
    "http_408": _error(408, "Request timeout"),
    "error_in_200": _body(lambda body: {"error": {"code": 502, "message": "Provider returned error"}}),
    "error_in_choice": _error_in_choice,
    "empty": _content(lambda ex: ""),
    "empty_choices": _body(lambda body: body | {"choices": []}),
    "no_choices": _body(lambda body: {name: value for name, value in body.items() if name != "choices"}),
    "null_content": _content(lambda ex: None),
    "html_200": _html(200),
    "html_502": _html(502),
    "not_json": _not_json,
    "wrong_encoding": _wrong_encoding,
    "truncated_body": _truncated_body,
    "drop": _drop,
    "drop_midway": _drop_midway,
    "hang": _hang,
    "slow": _slow,
    "huge": _huge,
    "redirect_host": _redirect_host,
    # The address is wrong, or a proxy stands in the way.
    "page_not_found_404": _text(404, "404 page not found"),
    "not_found_404": _error(404, "Not Found"),
    "unexpected_endpoint_200": _body(lambda _: {"error": "Unexpected endpoint or method. (POST /chat/completions)"}),
    # Rate limits.
    "rate_limit_minute": _platform_limit("min", 20),
    "rate_limit_minute_body": _platform_limit("min", 20, in_headers=False),
    "rate_limit_day": _platform_limit("day", 50, day=True),
    "rate_limit_provider": _rate_limit_provider,
    # Account faults.
    "account_401": _error(401, "User not found."),
    "account_402": _error(402, "Insufficient credits. Add more at the credits page."),
    "insufficient_quota_429": _error(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        {"error_type": "insufficient_quota"},
    ),
    "data_policy_404": _error(
        404, "No endpoints found matching your data policy. Check your settings: https://openrouter.ai/settings/privacy"
    ),
    "forbidden_403": _error(403, "A guardrail of this key forbids the model {model}"),
    # Refusals of a post.
    "moderation_403": _error(
        403,
        "Input was flagged by moderation",
        {"reasons": ["violence"], "flagged_input": "…", "provider_name": "SandboxCloud"},
    ),
    "refusal_text": _refusal_text,
    "content_policy_400": _error(
        400, "The request violates the content policy", {"error_type": "content_policy_violation"}
    ),
    "context_length_400": _error(
        400,
        "This endpoint's maximum context length is 4096 tokens",
        {"error_type": "context_length_exceeded"},
    ),
    # Faults of a model.
    "model_gone_404": _error(404, "{model}: the free variant has ended", None, _gone("free_variant_ended")),
    "model_gone_plain_404": _error(404, "No endpoints found for {model}."),
    "capacity_429": _error(
        429,
        "{model} has no capacity left",
        None,
        {"code": "capacity_exhausted", "retryable": True, "retry_after": 1},
    ),
    # Malformed answers that contain the tags.
    **{name: _content(shape, "length" if name == "truncated_array" else "stop") for name, shape in MALFORMED.items()},
    **ELSEWHERE,
    # Answers without tags.
    "only_thinking": _content(lambda ex: "<think>Let me see what the text is about", "length"),
    **{name: _content(shape) for name, shape in UNUSABLE.items()},
    # Answers that mix up posts.
    **{name: _content(shape) for name, shape in MIXED.items()},
    # Broken or hostile servers.
    **HOSTILE_BODIES,
    **HOSTILE_WIRE,
}

#: Transient faults: the default for random faults.
TRANSIENT = (
    "http_500",
    "http_502",
    "http_503",
    "http_504",
    "error_in_200",
    "error_in_choice",
    "empty",
    "empty_choices",
    "null_content",
    "html_502",
    "truncated_body",
    "drop",
)

#: OpenRouter does not take these for errors, so it does not try the next of `models`.
NOT_AN_ERROR = {
    *MALFORMED,
    *ELSEWHERE,
    "only_thinking",
    "insufficient_quota_429",
    *UNUSABLE,
    *MIXED,
    *HOSTILE_BODIES,
    *HOSTILE_WIRE,
    "empty",
    "empty_choices",
    "no_choices",
    "null_content",
    "html_200",
    "not_json",
    "wrong_encoding",
    "truncated_body",
    "drop",
    "drop_midway",
    "hang",
    "slow",
    "huge",
    "redirect_host",
    "account_401",
    "account_402",
    "rate_limit_minute",
    "rate_limit_minute_body",
    "rate_limit_day",
    "refusal_text",
}
