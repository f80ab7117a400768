"""What the client learns from a server's answers, seen in the requests that follow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from sandbox.servers import serve
from services.llm.client import Call, Provider, Request
from services.llm.outcomes import Kind

Json = dict[str, Any]
#: A request's body → the status and the JSON (or text) to answer with; None: the right answer.
Script = Callable[[Json], tuple[int, Any] | None]

TEXTS = tuple(f"Новая станция метро номер {n} открылась" for n in range(9))
MODELS = ("first/model", "second/model")
NAMED = (400, {"error": {"message": "Unrecognized request argument supplied: plugins"}})
UNHELPFUL = (400, {"error": {"message": "Bad Request"}})


class Asked:
    """A client, the server's script, and the bodies that came."""

    def __init__(self) -> None:
        self.script: Script = lambda _: None
        self.bodies: list[Json] = []
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.client = Provider("", "", 5, lambda: self.now)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        status, value = self.script(body) or (200, {"choices": [{"message": {"content": '{"tags": ["метро"]}'}}]})
        if isinstance(value, str):
            return web.Response(status=status, text=value)
        return web.json_response(value, status=status)

    async def ask(self, text: str = TEXTS[0], model: str = MODELS[0]) -> Call:
        others = [each for each in MODELS if each != model]
        return await self.client.ask(Request((text,), (model, *others)))

    async def kinds(self, *texts: str) -> list[Kind]:
        return [(await self.ask(text)).outcome.kind for text in texts]


@asynccontextmanager
async def asking(key: str = "key") -> AsyncIterator[Asked]:
    asked = Asked()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", asked.answer)
    async with serve(app) as url, Provider(f"{url}/v1", key, 30, lambda: asked.now) as asked.client:
        yield asked


async def test_a_named_feature_is_left_out_for_that_model_and_for_a_day() -> None:
    """Only the one that was named; other models get it; after a day it is tried again."""
    async with asking() as asked:
        asked.script = lambda body: NAMED if "plugins" in body and body["model"] == MODELS[0] else None
        assert await asked.kinds(TEXTS[0], TEXTS[0], TEXTS[1]) == [Kind.UNSUPPORTED, Kind.TAGGED, Kind.TAGGED]
        assert "plugins" not in asked.bodies[-1]
        assert asked.bodies[-1]["models"] == list(MODELS)
        assert "response_format" in asked.bodies[-1]
        await asked.ask(model=MODELS[1])
        assert "plugins" in asked.bodies[-1]
        asked.now += timedelta(days=1, seconds=1)
        await asked.ask()
        assert "plugins" in asked.bodies[-1]


@pytest.mark.parametrize("feature", ["response_format", "plugins"])
async def test_an_error_that_names_nothing_is_tried_without_features(feature: str) -> None:
    """The feature without which the same request succeeds is left out, and no other kind of feature."""
    async with asking() as asked:
        asked.script = lambda body: UNHELPFUL if feature in body else None
        while (await asked.ask()).outcome.kind is Kind.UNSUPPORTED:
            assert len(asked.bodies) < 4
        assert (await asked.ask(TEXTS[1])).outcome.kind is Kind.TAGGED
        assert feature not in asked.bodies[-1]
        assert ("response_format" in asked.bodies[-1]) is (feature != "response_format")


async def test_a_stray_error_costs_no_feature() -> None:
    """One 400 or 404, and all is as before."""
    async with asking() as asked:
        for stray in (UNHELPFUL, (404, "404 page not found")):
            answers = iter([stray])
            asked.script = lambda body, answers=answers: next(answers, None)  # type: ignore[misc]
            await asked.ask(TEXTS[0])
            await asked.ask(TEXTS[1])
            assert {"models", "plugins", "response_format"} <= asked.bodies[-1].keys()


async def test_a_plain_404_is_an_upstream_fault() -> None:
    """The address is wrong, or a proxy is in the way: the model is not gone, and the reason says so."""
    async with asking() as asked:
        asked.script = lambda _: (404, "404 page not found")
        outcome = (await asked.ask()).outcome
    assert outcome.kind is Kind.SERVER_ERROR
    assert "/v1" in outcome.reason


async def test_the_substitute_of_max_tokens_is_sent() -> None:
    """OpenAI's newer models take max_completion_tokens only."""
    message = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
    async with asking("") as asked:
        asked.script = lambda body: (400, {"error": {"message": message}}) if "max_tokens" in body else None
        assert await asked.kinds(TEXTS[0], TEXTS[0]) == [Kind.UNSUPPORTED, Kind.TAGGED]
        assert "max_completion_tokens" in asked.bodies[-1]
        assert "max_tokens" not in asked.bodies[-1]


async def test_a_context_too_short_for_the_answer_goes_without_its_limit() -> None:
    """Only then the text is too long."""
    message = "This model's maximum context length is 2048 tokens. However, you requested 2100 output tokens."
    async with asking("") as asked:
        asked.script = lambda body: (400, {"error": {"message": message}}) if "max_tokens" in body else None
        assert await asked.kinds(TEXTS[0], TEXTS[0]) == [Kind.UNSUPPORTED, Kind.TAGGED]
        asked.script = lambda _: (400, {"error": {"message": message}})
        assert await asked.kinds(TEXTS[0]) == [Kind.REFUSED]


def sent_letters(body: Json) -> int:
    return str(body["messages"][-1]["content"]).count("ж")


async def test_a_text_too_long_for_the_model_is_sent_shorter() -> None:
    """Half of it, then the least; learnt for this post and model. Of several posts fewer are asked about."""
    too_long = (400, {"error": {"message": "prompt is too long: 9 tokens > 5 maximum"}})
    text = "ж" * 1000
    async with asking("") as asked:
        asked.script = lambda body: too_long if sent_letters(body) > 300 else None
        assert await asked.kinds(text, text, text) == [Kind.UNSUPPORTED, Kind.UNSUPPORTED, Kind.TAGGED]
        assert await asked.kinds(text) == [Kind.TAGGED]
        assert [sent_letters(body) for body in asked.bodies] == [1000, 500, 200, 200]
        await asked.ask(text, MODELS[1])
        assert sent_letters(asked.bodies[-1]) == 1000
        several = Request((text[:400], text[:401]), MODELS[:1])
        assert {outcome.kind for outcome in (await asked.client.ask(several)).outcomes} == {Kind.REFUSED}
        asked.script = lambda _: too_long
        assert await asked.kinds(text) == [Kind.REFUSED]


async def test_a_model_without_a_system_role_gets_the_rules_from_the_user() -> None:
    async with asking("") as asked:
        error = (400, {"object": "error", "message": "System role not supported"})
        asked.script = lambda body: error if body["messages"][0]["role"] == "system" else None
        assert await asked.kinds(TEXTS[0], TEXTS[0]) == [Kind.UNSUPPORTED, Kind.TAGGED]


async def test_thinking_that_uses_up_the_tokens_gets_more_of_them() -> None:
    """Four times, then eight times as many; then the answer is unusable, which is no outage."""
    nothing = {"choices": [{"finish_reason": "length", "message": {"content": "", "reasoning": "Hm"}}]}
    async with asking("") as asked:
        asked.script = lambda body: (200, nothing)
        assert await asked.kinds(*TEXTS[:1] * 3) == [Kind.UNSUPPORTED, Kind.UNSUPPORTED, Kind.MALFORMED]
        first, *later = [body["max_tokens"] for body in asked.bodies]
        assert later == [4 * first, 8 * first]


async def settled(asked: Asked, text: str) -> Kind:
    """The outcome once all that can be left out has been."""
    while (kind := (await asked.ask(text)).outcome.kind) is Kind.UNSUPPORTED:
        assert len(asked.bodies) < 100
    return kind


async def test_an_unexplained_refusal_of_every_text_is_the_configurations_fault() -> None:
    """No post is refused for it, and the server's words stand in the reason."""
    async with asking("") as asked:
        asked.script = lambda _: (400, {"error": {"message": "tenant is not provisioned"}})
        kinds = [await settled(asked, text) for text in TEXTS[:3]]
        assert kinds == [Kind.SERVER_ERROR, Kind.SERVER_ERROR, Kind.FORBIDDEN]
        assert "tenant is not provisioned" in (await asked.ask(TEXTS[3])).outcome.reason


async def test_an_unexplained_refusal_of_every_batch_is_the_configurations_fault() -> None:
    """Known after two batches, and features are tried for the first of them alone."""
    async with asking("") as asked:
        asked.script = lambda _: UNHELPFUL
        kinds = []
        for batch in (TEXTS[:3], TEXTS[3:6], TEXTS[6:]):
            while (kind := (await asked.client.ask(Request(batch, MODELS[:1]))).outcome.kind) is Kind.UNSUPPORTED:
                assert len(asked.bodies) < 10
            kinds.append(kind)
        assert kinds == [Kind.SERVER_ERROR, Kind.FORBIDDEN, Kind.FORBIDDEN]
        assert len(asked.bodies) == 4
        asked.now += timedelta(minutes=1)
        asked.script = lambda body: UNHELPFUL if "response_format" in body else None
        assert await asked.kinds(*TEXTS[:1] * 2) == [Kind.UNSUPPORTED, Kind.TAGGED]


async def test_an_unexplained_refusal_of_one_text_is_that_posts() -> None:
    """The model answers others between two refusals of it."""
    async with asking("") as asked:
        asked.script = lambda body: UNHELPFUL if TEXTS[0] in body["messages"][1]["content"] else None
        assert await settled(asked, TEXTS[0]) is Kind.SERVER_ERROR
        assert await settled(asked, TEXTS[1]) is Kind.TAGGED
        assert await settled(asked, TEXTS[0]) is Kind.REFUSED


async def test_an_unexplained_refusal_of_the_only_text_left_is_that_posts() -> None:
    """The model has answered before, and refuses no other: nothing is paused until another post comes."""
    async with asking("") as asked:
        assert await settled(asked, TEXTS[3]) is Kind.TAGGED
        asked.script = lambda _: UNHELPFUL
        assert [await settled(asked, TEXTS[0]) for _ in range(2)] == [Kind.SERVER_ERROR, Kind.REFUSED]
        # Another text is refused too: now the configuration may be at fault.
        assert [await settled(asked, TEXTS[1]) for _ in range(2)] == [Kind.SERVER_ERROR, Kind.SERVER_ERROR]
        assert await settled(asked, TEXTS[2]) is Kind.FORBIDDEN


async def test_an_unexplained_refusal_of_a_batch_is_narrowed_down() -> None:
    """REFUSED splits a batch; that needs a sign that the model answers others."""
    async with asking("") as asked:
        asked.script = lambda body: UNHELPFUL if TEXTS[0] in body["messages"][1]["content"] else None
        batch = Request(TEXTS[:5], MODELS[:1])
        kinds = []
        for _ in range(2):
            await settled(asked, TEXTS[5])
            while (kind := (await asked.client.ask(batch)).outcome.kind) is Kind.UNSUPPORTED:
                assert len(asked.bodies) < 100
            kinds.append(kind)
            while (kind := (await asked.client.ask(batch)).outcome.kind) is Kind.UNSUPPORTED:
                assert len(asked.bodies) < 100
            kinds.append(kind)
        assert kinds == [Kind.REFUSED, Kind.SERVER_ERROR] * 2
