"""Valid HTTP with hostile or broken JSON: name → answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from sandbox.provider.exchange import Exchange, Fault, Json, answer, dumped

DEEP = 100_000
NESTED = "[" * DEEP + "]" * DEEP
RUBBISH = {"prompt_tokens": -5, "completion_tokens": "many", "total_tokens": [], "cost": True}


def _raw(make: Callable[[Exchange], str | bytes], content_type: str = "application/json") -> Fault:
    """The bytes of `make`, which no JSON library would write."""

    async def fault(ex: Exchange) -> web.StreamResponse:
        body = make(ex)
        raw = body.encode() if isinstance(body, str) else body
        return web.Response(body=raw, headers={"Content-Type": content_type})

    return fault


def _with(**changes: Any) -> Fault:
    """The correct answer with some fields replaced."""

    async def fault(ex: Exchange) -> web.StreamResponse:
        return answer(_right(ex) | changes)

    return fault


def _only(value: Any) -> Fault:
    async def fault(ex: Exchange) -> web.StreamResponse:
        return answer(value)

    return fault


def _saying(make: Callable[[Exchange], str]) -> Fault:
    """A completion with the content of `make`."""

    async def fault(ex: Exchange) -> web.StreamResponse:
        return answer(ex.completion(make(ex)))

    return fault


def _right(ex: Exchange) -> Json:
    return ex.completion(ex.content())


def _spliced(ex: Exchange, name: str, raw: str) -> str:
    """The correct answer with `raw` as the value of a field."""
    return json.dumps(_right(ex) | {name: "<here>"}).replace('"<here>"', raw)


def _double_keys(ex: Exchange) -> str:
    right = json.dumps(_right(ex))
    return '{"choices": [], "usage": 1, "error": {"code": 500}, "error": null, ' + right[1:]


def _echo_of_the_request(ex: Exchange) -> str:
    headers = "\n".join(f"{name}: {value}" for name, value in ex.request.headers.items())
    return f"<html><pre>debug\n{headers}</pre></html>"


async def _echo_in_an_error(ex: Exchange) -> web.StreamResponse:
    sent = ex.request.headers.get("Authorization", "")
    shown = {"code": 500, "message": f"cannot use {sent}", "metadata": {"error_type": sent}}
    return answer({"error": shown, "model": sent}, 500)


async def _set_cookie(ex: Exchange) -> web.StreamResponse:
    response = answer(_right(ex))
    response.set_cookie("track", "me" * 500)
    response.headers.add("Set-Cookie", ";;;=\xff; Domain=.example.org")
    return response


HOSTILE_BODIES: dict[str, Fault] = {
    "deep_body": _raw(lambda ex: NESTED),
    "deep_error": _raw(lambda ex: '{"error": ' + NESTED + "}"),
    # Within json.loads' limit of depth; other code that handles the value may have a lower one.
    "deep_message": _raw(lambda ex: '{"error": {"message": ' + "[" * 400 + "]" * 400 + "}}"),
    "deep_content": _saying(lambda ex: NESTED),
    "long_string": _saying(lambda ex: "x" * 1_000_000),
    "double_keys": _raw(_double_keys),
    "nan_usage": _raw(
        lambda ex: _spliced(ex, "usage", '{"prompt_tokens": NaN, "completion_tokens": Infinity, "cost": -Infinity}')
    ),
    "huge_usage": _raw(
        lambda ex: _spliced(ex, "usage", '{"prompt_tokens": 1e400, "completion_tokens": ' + "9" * 4000 + "}")
    ),
    "digits_without_end": _raw(lambda ex: _spliced(ex, "created", "9" * 10_000)),
    "usage_rubbish": _with(usage=RUBBISH),
    "usage_list": _with(usage=[1, 2]),
    "choices_strings": _with(choices=["a", "b"]),
    "choices_object": _with(choices={"0": "a"}),
    "choices_nested": _with(choices=[[{"message": {"content": "a, b"}}]]),
    "message_list": _with(choices=[{"message": ["a", "b"], "finish_reason": {}}]),
    "content_object": _with(choices=[{"message": {"content": {"tags": ["a"]}}, "finish_reason": 5}]),
    "model_10k": _raw(lambda ex: json.dumps(_right(ex) | {"model": "m\u0000\ud800" * 5000})),
    "model_list": _with(model=["a"]),
    "error_string": _only({"error": "boom"}),
    "error_list": _only({"error": ["boom", {"code": 401}]}),
    "error_number": _only({"error": 5}),
    "error_true": _only({"error": True}),
    "error_code_429_string": _only({"error": {"code": "429", "message": "slow down"}}),
    "error_code_words": _only({"error": {"code": "server_error", "message": ["a"]}}),
    "error_code_digits": _only({"error": {"code": "5" * 10_000}}),
    "error_code_list": _only({"error": {"code": [429], "metadata": "x", "availability": [1]}}),
    "body_list": _only([1, 2]),
    "body_number": _only(5),
    "body_null": _only(None),
    "body_string": _only("tags"),
    "body_nul": _raw(lambda ex: b"\x00\x00not json\x00\xff\xfe", "text/plain"),
    "echo_headers": _raw(_echo_of_the_request, "text/html"),
    "echo_in_an_error": _echo_in_an_error,
    "set_cookie": _set_cookie,
    # The correct answer in an unusual form.
    "html_content_type": _raw(lambda ex: dumped(_right(ex)), "text/html"),
    "no_such_charset": _raw(lambda ex: dumped(_right(ex)), "application/json; charset=klingon"),
    "utf16_charset": _raw(lambda ex: dumped(_right(ex)), "application/json; charset=utf-16"),
    "utf16_body": _raw(lambda ex: dumped(_right(ex)).decode().encode("utf-16"), "application/json; charset=utf-16"),
    "byte_order_mark": _raw(lambda ex: b"\xef\xbb\xbf" + dumped(_right(ex))),
}
