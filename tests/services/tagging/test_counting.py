"""What the worker's callback is told: every request whose outcome is stored, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from sandbox.provider import ProviderSandbox
from services.llm.outcomes import Kind
from services.tagging.recorder import Recorded, Recorder
from services.tagging.tagging_request import FinishedRequest
from storage.db.engine import Database
from storage.schema.tables import Attempt
from tests.services.engine import running
from tests.storage.rows import add_posts, add_user


class Told:
    """What the callback was given."""

    def __init__(self) -> None:
        self.finished: list[FinishedRequest] = []

    def __call__(self, group: Sequence[FinishedRequest]) -> None:
        assert group
        self.finished.extend(group)

    @property
    def attempts(self) -> Counter[tuple[int, str, str]]:
        """Post, model asked, outcome → how often."""
        return Counter(
            (post.id, each.call.request.model, outcome.kind.value)
            for each in self.finished
            for post, outcome in zip(each.posts, each.call.outcomes, strict=True)
        )


async def fill(database: Database, count: int) -> None:
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, count)


async def stored(database: Database) -> Counter[tuple[int, str, str]]:
    async with database.read() as session:
        rows = await session.execute(select(Attempt.post_id, Attempt.model_asked, Attempt.outcome))
        return Counter((row.post_id, row.model_asked, row.outcome) for row in rows)


async def test_every_stored_attempt_is_told(database: Database, provider: ProviderSandbox) -> None:
    """Good ones and faulty ones, as they stand in metka_attempts."""
    provider.model_fault("first/model", "http_503")
    await fill(database, 8)
    told = Told()
    async with running(database, provider, key="", on_finished=told) as engine:
        await engine.settled()
    kinds = {kind for _, _, kind in told.attempts}
    assert {Kind.TAGGED, Kind.SERVER_ERROR} <= kinds
    assert told.attempts == await stored(database)


async def test_what_is_rolled_back_counts_nothing(
    database: Database, provider: ProviderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that fails after everything was written is not told; its second try is, once."""
    record, failures = Recorder.record, 2

    async def fails_first(self: Recorder, session: Any, group: Sequence[FinishedRequest], *states: Any) -> Recorded:
        nonlocal failures
        recorded = await record(self, session, group, *states)
        if failures:
            failures -= 1
            raise OSError("the connection was lost")
        return recorded

    monkeypatch.setattr(Recorder, "record", fails_first)
    await fill(database, 4)
    told = Told()
    async with running(database, provider, on_finished=told) as engine:
        await engine.settled()
    assert failures == 0
    assert told.attempts == await stored(database)
    assert sum(told.attempts.values()) == 4


async def test_an_outcome_that_cannot_be_stored_is_not_told(
    database: Database, provider: ProviderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others of its group are, one by one."""
    record = Recorder.record

    async def never_the_first(self: Recorder, session: Any, group: Sequence[FinishedRequest], *states: Any) -> Recorded:
        if any(post.id == 1 for finished in group for post in finished.posts):
            raise ValueError("cannot be written")
        return await record(self, session, group, *states)

    monkeypatch.setattr(Recorder, "record", never_the_first)
    await fill(database, 3)
    told = Told()
    async with running(database, provider, on_finished=told) as engine:
        await engine.settled()
    assert {post for post, _, _ in told.attempts} == {2, 3}
    assert told.attempts == await stored(database)


async def test_what_ends_at_the_stop_is_told(database: Database, provider: ProviderSandbox) -> None:
    """Requests that were in flight when the worker was told to stop."""
    await fill(database, 3)
    told = Told()
    async with running(database, provider, on_finished=told) as engine:

        async def all_asked() -> bool:
            return len(provider.requests) == 3

        await engine.until(all_asked)
    assert told.attempts == await stored(database)
    assert {post for post, _, _ in told.attempts} == {1, 2, 3}
