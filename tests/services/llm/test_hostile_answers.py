"""Whatever a server sends over HTTP is one typed outcome, costs little, and harms nothing that comes after."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from sandbox.provider import ProviderSandbox, expected_tags
from sandbox.provider.hostile_bodies import HOSTILE_BODIES
from sandbox.provider.hostile_wire import HOSTILE_WIRE
from sandbox.servers import serve
from services.clock import utc_now
from services.llm.client import MOST_BYTES, Call, Provider, Request
from services.llm.outcomes import Kind, Usage

KEY = "sk-or-v1-" + "0123456789abcdef" * 4
TEXT = "Новая станция метро открылась сегодня"
OTHER = "Рецепт пирога с яблоками и корицей"
MIB = 2**20

KINDS: dict[Kind, tuple[str, ...]] = {
    Kind.TAGGED: (
        "double_keys",
        "nan_usage",
        "huge_usage",
        "usage_rubbish",
        "usage_list",
        "model_10k",
        "model_list",
        "set_cookie",
        "html_content_type",
        "no_such_charset",
        "utf16_charset",
        "byte_order_mark",
        "two_answers",
        "gzip",
        "no_such_encoding",
        "status_100_first",
    ),
    Kind.EMPTY: (
        "choices_strings",
        "choices_object",
        "choices_nested",
        "message_list",
        "status_204",
    ),
    Kind.MALFORMED: (
        "content_object",
        "deep_content",
        "long_string",
    ),
    Kind.LIMITED: ("error_code_429_string",),
    Kind.SERVER_ERROR: (
        "endless_body",
        "endless_chunks",
        "endless_to_eof",
        "gzip_bomb",
        "deflate_bomb",
        "deep_body",
        "deep_error",
        "deep_message",
        "digits_without_end",
        "error_string",
        "error_list",
        "error_number",
        "error_true",
        "error_code_words",
        "error_code_digits",
        "error_code_list",
        "body_list",
        "body_number",
        "body_null",
        "body_string",
        "body_nul",
        "echo_headers",
        "echo_in_an_error",
        "utf16_body",
        "status_101",
        "status_304",
        "status_418",
        "status_599",
        "status_999",
        "redirect_301",
        "redirect_302",
        "redirect_303",
        "redirect_307",
        "redirect_308",
        "redirect_to_itself",
    ),
    Kind.NETWORK: (
        "endless_headers",
        "endless_header",
        "endless_reason",
        "endless_trailers",
        "not_http",
        "nothing",
        "huge_header",
        "length_larger_and_end",
        "length_smaller",
        "length_twice",
        "length_rubbish",
        "chunk_cut",
        "chunk_rubbish",
        "gzip_rubbish",
        "gzip_cut",
        "brotli_rubbish",
    ),
    Kind.TIMEOUT: (
        "endless_extension",
        "drip_body",
        "drip_headers",
        "drip_100",
        "gzip_of_nothing",
        "no_end_of_headers",
        "length_larger",
    ),
}
CASES = [(name, kind) for kind, names in KINDS.items() for name in names]
ENDLESS = sorted(name for name in HOSTILE_WIRE if name.startswith(("endless_", "gzip_", "deflate_")))


def test_every_hostile_answer_has_its_kind() -> None:
    """The table is whole: what is added to the sandbox is judged here."""
    judged_apart = {"late_answer"}
    assert {name for name, _ in CASES} | judged_apart == {*HOSTILE_BODIES, *HOSTILE_WIRE}


@asynccontextmanager
async def client_of(provider: ProviderSandbox, kind: Kind = Kind.TAGGED) -> AsyncIterator[Provider]:
    """A client that waits long, unless waiting in vain is what is tested."""
    async with Provider(provider.url, KEY, 1 if kind is Kind.TIMEOUT else 30, utc_now) as client:
        yield client


async def ask(client: Provider, *texts: str) -> Call:
    return await client.ask(Request(texts or (TEXT,), ("first/model", "second/model")))


async def left_alone(provider: ProviderSandbox) -> None:
    """Wait until no request is being served: the client has closed what it did not read to the end."""
    async with asyncio.timeout(10):
        while provider.in_flight:  # noqa: ASYNC110 - the sandbox tells it by a number
            await asyncio.sleep(0)


@pytest.mark.parametrize(("name", "kind"), CASES, ids=[name for name, _ in CASES])
async def test_one_typed_outcome_and_the_next_request_works(provider: ProviderSandbox, name: str, kind: Kind) -> None:
    """One request, one outcome of the kind that fits, no key in what is kept of it; the next one is served."""
    provider.api_key = KEY
    provider.queue(name)
    async with client_of(provider, kind) as client:
        call = await ask(client)
        assert len(provider.requests) == 1
        assert [outcome.kind for outcome in call.outcomes] == [kind], call
        assert (call.outcomes[0].tags == tuple(expected_tags(TEXT))) is (kind is Kind.TAGGED)
        assert KEY not in repr(call)
        assert (await ask(client, OTHER)).outcomes[0].tags == tuple(expected_tags(OTHER))


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_has_no_end_is_neither_read_nor_kept(provider: ProviderSandbox, name: str) -> None:
    """Little is taken from the network and held in memory; then the connection is closed."""
    provider.queue(name)
    kind = next(kind for case, kind in CASES if case == name)
    async with client_of(provider, kind) as client:
        tracemalloc.start()
        try:
            await ask(client)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        await left_alone(provider)
    assert provider.requests[0].sent < 32 * MIB  # what the kernel's buffers hold, and the cap
    assert most < 8 * MOST_BYTES


async def test_a_late_answer_is_nobodys(provider: ProviderSandbox) -> None:
    """Bytes that a server sends unasked are not read as the answer to the next request."""
    provider.queue("late_answer")
    async with client_of(provider) as client:
        await ask(client)
        async with asyncio.timeout(10):
            while provider.in_flight and not provider.requests[0].sent:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)
        assert (await ask(client, OTHER)).outcomes[0].tags == tuple(expected_tags(OTHER))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_takes_nothing_elsewhere(provider: ProviderSandbox, status: int) -> None:
    """Neither the key nor a post reaches the other host; the reason says what happened."""
    asked_elsewhere: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked_elsewhere.append(request.method)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", elsewhere)
    async with serve(app) as provider.redirect_to, client_of(provider) as client:
        provider.queue(f"redirect_{status}")
        call = await ask(client)
    assert asked_elsewhere == []
    assert call.outcomes[0].reason == f"HTTP {status}: the provider failed (it redirects, which is not followed)"


async def test_cookies_are_not_kept(provider: ProviderSandbox) -> None:
    """Nothing follows the bot from one request to the next."""
    provider.queue("set_cookie")
    async with client_of(provider) as client:
        await ask(client)
        await ask(client)
    assert "Cookie" not in provider.requests[1].headers


@pytest.mark.parametrize("name", ["nan_usage", "huge_usage", "usage_rubbish", "usage_list"])
async def test_rubbish_is_no_usage(provider: ProviderSandbox, name: str) -> None:
    """A cost that is no number is none: NaN, Infinity, negative, text, true."""
    provider.queue(name)
    async with client_of(provider) as client:
        assert (await ask(client)).usage == Usage()


async def test_a_long_name_of_a_model_is_cut(provider: ProviderSandbox) -> None:
    """And holds nothing that a database refuses."""
    provider.queue("model_10k")
    async with client_of(provider) as client:
        answered = (await ask(client)).answered
    assert answered is not None
    assert len(answered) == 200
    assert "\x00" not in answered
    answered.encode()


@pytest.mark.parametrize("name", ["body_nul", "utf16_body"])
async def test_an_excerpt_can_be_stored(provider: ProviderSandbox, name: str) -> None:
    """PostgreSQL refuses NUL, also in what is kept only to explain a fault."""
    provider.queue(name)
    async with client_of(provider) as client:
        excerpt = (await ask(client)).outcomes[0].excerpt
    assert excerpt
    assert "\x00" not in excerpt


@pytest.mark.parametrize(("name", "field"), [("echo_headers", "excerpt"), ("echo_in_an_error", "answered")])
async def test_an_echoed_key_is_struck_out(provider: ProviderSandbox, name: str, field: str) -> None:
    """What is kept of an error page that shows the request's headers says so instead of the key."""
    provider.queue(name)
    async with client_of(provider) as client:
        call = await ask(client)
    kept = call.outcomes[0].excerpt if field == "excerpt" else call.answered
    assert "Bearer [key]" in (kept or "")


async def test_a_placeholder_for_a_key_is_no_secret(provider: ProviderSandbox) -> None:
    """Local servers are given 'a' or 'none' for a key: answers that hold such a word are left as they are."""
    async with Provider(provider.url, "o", 30, utc_now) as client:
        assert (await ask(client)).outcomes[0].tags == tuple(expected_tags(TEXT))
