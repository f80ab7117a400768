"""How much is taken on, at the border itself: an application that answers when it is told to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from bot.web.admission import ADDRESSES_KEPT, BURST, Admission
from bot.web.turns import SLOTS


class Slow:
    """An application: counts who is at work in it; nobody is answered before `go` is set."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.entered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.entered += 1
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


async def call(app: Any, path: str = "/users", client: str = "10.0.0.1", takes: asyncio.Event | None = None) -> int:
    """A request; its status. `takes`: when the client takes the answer's body."""
    status = 0

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif takes is not None:
            await takes.wait()

    scope = {"type": "http", "path": path, "client": (client, 1), "query_string": b"", "headers": []}
    await app(scope, None, send)
    return status


async def settled() -> None:
    """Let everything go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_few_are_at_work_at_once_and_the_others_wait() -> None:
    slow = Slow()
    app = Admission(slow, rate=1000)
    calls = [asyncio.create_task(call(app)) for _ in range(SLOTS + 2)]
    await settled()
    assert slow.entered == SLOTS
    slow.go.set()
    assert await asyncio.gather(*calls) == [200] * (SLOTS + 2)


async def test_who_would_wait_too_long_is_told_so() -> None:
    slow = Slow()
    app = Admission(slow, rate=1000, patience_seconds=0.01)
    calls = [asyncio.create_task(call(app)) for _ in range(SLOTS)]
    await settled()
    assert await call(app) == 503
    slow.go.set()
    assert await asyncio.gather(*calls) == [200] * SLOTS
    assert await call(app) == 200


async def test_who_takes_the_answer_slowly_keeps_nobody_from_work() -> None:
    slow, taken = Slow(), asyncio.Event()
    slow.go.set()
    app = Admission(slow, rate=1000)
    calls = [asyncio.create_task(call(app, takes=taken)) for _ in range(SLOTS * 3)]
    await settled()
    assert slow.entered == SLOTS * 3
    taken.set()
    assert await asyncio.gather(*calls) == [200] * SLOTS * 3


async def test_a_failure_gives_its_slot_back() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a bug")

    app = Admission(fails, rate=1000)
    for _ in range(SLOTS * 2):
        with pytest.raises(RuntimeError, match="a bug"):
            await call(app)


async def test_health_is_answered_however_many_ask() -> None:
    """Late, never refused; others that wait are not in its way."""
    slow = Slow()
    slow.go.set()
    app = Admission(slow, rate=0.001, patience_seconds=0.01, health_patience_seconds=0.01)
    await asyncio.gather(*(call(app, "/users") for _ in range(BURST)))
    assert await call(app, "/users") == 429
    asked = [call(app, path) for path in ("/healthz", "/readyz") for _ in range(BURST)]
    assert set(await asyncio.gather(*asked)) == {200}


async def test_addresses_are_counted_apart_and_a_customers_network_together() -> None:
    slow = Slow()
    slow.go.set()
    app = Admission(slow, rate=0.001, patience_seconds=0.01)
    for client in ("10.0.0.1", "2001:db8::1", "::ffff:10.0.0.9"):
        await asyncio.gather(*(call(app, client=client) for _ in range(BURST)))
        assert await call(app, client=client) == 429
    assert await call(app, client="2001:db8::ffff") == 429
    assert await call(app, client="2001:db8:0:1::1") == 200
    assert await call(app, client="10.0.0.2") == 200
    assert await call(app, client="::ffff:10.0.0.8") == 200


async def test_what_is_remembered_of_addresses_is_bounded() -> None:
    slow = Slow()
    slow.go.set()
    app = Admission(slow, rate=1000)
    for number in range(ADDRESSES_KEPT + 50):
        await call(app, client=f"10.1.{number // 256}.{number % 256}")
    assert len(app._limiters) == ADDRESSES_KEPT


async def test_no_websockets() -> None:
    """Nothing of the application is reached by them."""
    slow = Slow()
    await Admission(slow)({"type": "websocket", "path": "/users"}, None, None)  # type: ignore[arg-type]
    assert slow.entered == 0
