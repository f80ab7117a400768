"""What doctor says of the models' server: its address, the key, the models. No request to a model is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from bot.cli.doctor.check import CheckFailed, CheckWarning
from bot.cli.doctor.provider import check_provider
from bot.settings import Settings
from sandbox.servers import serve

KEY = "sk-0123456789abcdef"
LIST = {"data": [{"id": "one/model", "owned_by": "x"}, {"id": "two/model"}]}
REFUSAL = (401, {"error": {"message": f"Incorrect API key provided: {KEY}"}})
Reply = tuple[int, Any]


def public(reply: Reply) -> Callable[[bool], Reply]:
    return lambda _: reply


def closed(reply: Reply) -> Callable[[bool], Reply]:
    """For whoever has a key."""
    return lambda has_key: reply if has_key else REFUSAL


#: A server's paths, the settings that differ, how the check ends, and what it says (or, after "-", does not say).
CASES: dict[str, tuple[dict[str, Callable[[bool], Reply]], dict[str, str], str, tuple[str, ...]]] = {
    "OpenRouter's kind": (
        {"/v1/key": closed((200, {"data": {}})), "/v1/models": public((200, LIST))},
        {},
        "ok",
        ("one/model → two/model", "-only a request"),
    ),
    "a wrong key where the list is public": (
        {"/v1/key": public(REFUSAL), "/v1/models": public((200, LIST))},
        {},
        "failed",
        ("does not accept OPENROUTER_API_KEY", "Incorrect API key provided", f"-{KEY}"),
    ),
    "OpenAI's kind": ({"/v1/models": closed((200, LIST))}, {}, "ok", ("-only a request",)),
    "OpenAI's kind, a wrong key": ({"/v1/models": public(REFUSAL)}, {}, "failed", ("copy it again", f"-{KEY}")),
    "a key is wanted": ({"/v1/models": closed((200, LIST))}, {"key": ""}, "failed", ("it is empty",)),
    "a list for anybody": ({"/v1/models": public((200, LIST))}, {}, "ok", ("only a request to a model shows",)),
    "no key needed": ({"/v1/models": public((200, LIST))}, {"key": ""}, "ok", ("-only a request",)),
    "a model is gone": (
        {"/v1/models": closed((200, LIST))},
        {"models": "one/model,old/model"},
        "warning",
        ("not offered there: old/model. Name others in OPENROUTER_MODEL", "-one/model"),
    ),
    "all are gone": ({"/v1/models": closed((200, LIST))}, {"models": "old/model"}, "failed", ("none of the models",)),
    "Ollama's names": (
        {"/v1/models": public((200, {"data": [{"id": "llama3.2:latest"}]}))},
        {"key": "", "models": "llama3.2"},
        "ok",
        ("llama3.2",),
    ),
    "Gemini's names": (
        {"/v1/models": closed((200, {"data": [{"id": "models/gemini-9-flash"}]}))},
        {"models": "gemini-9-flash"},
        "ok",
        (),
    ),
    "LiteLLM's wildcards": (
        {"/v1/models": closed((200, {"data": [{"id": "openai/*"}, {"id": "a[b"}]}))},
        {"models": "openai/gpt-x"},
        "ok",
        (),
    ),
    "llama.cpp takes any name": (
        {"/v1/models": public((200, {"data": [{"id": "/models/x.gguf", "owned_by": "llamacpp"}]}))},
        {"key": "", "models": "whatever"},
        "ok",
        (),
    ),
    "neither list nor key": ({}, {}, "warning", ("neither GET /key nor GET /models (HTTP 404", "without a request")),
    "/v1 is missing": ({"/v1/models": closed((200, LIST))}, {"path": ""}, "failed", ("/v1 is missing", "/v1")),
    "it fails": ({"/v1/models": public((503, {"detail": "busy"}))}, {}, "failed", ("HTTP 503 (“busy”)", "later")),
    "a redirect": ({"/v1/models": public((302, ""))}, {}, "warning", ("HTTP 302",)),
    "a page": ({"/v1/models": public((200, "<html>hello</html>"))}, {}, "warning", ("neither",)),
    "a number": ({"/v1/models": public((200, 7)), "/v1/key": public((200, "x"))}, {}, "warning", ("neither",)),
    "null in the list": (
        {"/v1/models": public((200, {"data": [None, {"id": None}, {"id": 5}]})), "/v1/key": public((200, []))},
        {},
        "ok",
        (),
    ),
    "deep JSON": ({"/v1/models": public((200, "[" * 100_000))}, {}, "warning", ("neither",)),
}


def app(paths: dict[str, Callable[[bool], Reply]]) -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        assert request.method == "GET", "a request to a model"
        found = paths.get(request.path)
        status, body = found("Authorization" in request.headers) if found else (404, "404 page not found")
        return web.Response(status=status, text=body if isinstance(body, str) else json.dumps(body))

    made = web.Application()
    made.router.add_route("*", "/{any:.*}", answer)
    return made


def settings(url: str, key: str = KEY, models: str = "one/model,two/model", path: str = "/v1") -> Settings:
    first, _, rest = models.partition(",")
    return Settings.model_validate(
        {
            "openrouter_base_url": url + path,
            "openrouter_api_key": key,
            "openrouter_model": first,
            "openrouter_fallback_models": rest,
        }
    )


async def ended(given: Settings) -> tuple[str, str]:
    try:
        return "ok", await check_provider(given)
    except CheckWarning as warning:
        return "warning", str(warning)
    except CheckFailed as failure:
        return "failed", str(failure)


@pytest.mark.parametrize("name", CASES)
async def test_each_kind_of_server(name: str) -> None:
    paths, changed, expected, words = CASES[name]
    async with serve(app(paths)) as url:
        end, said = await ended(settings(url, **changed))
    assert end == expected, said
    for word in words:
        assert (word[1:] not in said) if word.startswith("-") else (word in said), said


async def test_a_server_that_is_away() -> None:
    end, said = await ended(settings("http://127.0.0.1:1"))
    assert (end, said) == ("failed", "The provider does not answer (ClientConnectorError): check the network")
