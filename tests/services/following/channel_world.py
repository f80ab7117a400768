"""Public channels for the poller: a source with their pages, and a poller on a database."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import func, select

from services.following.poller import Poller
from services.following.service import ChannelService
from services.sources.base import Delivery, SourceChannel, SourceError, SourcePost
from storage.db.engine import Database
from storage.schema.tables import OutboxRow, Post, User

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ADMIN, FIRST, SECOND = 1, 2, 3


class Shelf:
    """Channels by name, twenty posts a page, as the preview has them; counts what is asked."""

    def __init__(self) -> None:
        self.texts: dict[str, dict[int, str | None]] = {}
        self.titles: dict[str, str] = {}
        self.renamed: dict[str, str] = {}
        self.errors: dict[str, SourceError] = {}
        self.asked: list[tuple[str, int]] = []
        self.forgotten: list[str] = []
        self.skipped: dict[str, int] = {}
        self.delay = timedelta(0)

    def fill(self, name: str, numbers: range) -> None:
        self.texts.setdefault(name, {}).update({number: f"{name} {number}" for number in numbers})

    def channel(self, name: str) -> Shelved:
        return Shelved(self, name)

    def forget(self, name: str) -> None:
        self.forgotten.append(name)


class Shelved:
    """One channel of a shelf."""

    def __init__(self, shelf: Shelf, name: str) -> None:
        self._shelf = shelf
        self._name = name

    async def deliveries(self, position: int = 0) -> AsyncGenerator[Delivery, None]:
        while True:
            self._shelf.asked.append((self._name, position))
            if self._name in self._shelf.errors:
                raise self._shelf.errors[self._name]
            texts = self._shelf.texts[self._name]
            older = sorted(number for number in texts if not position or number < position)
            page = older[-20:]
            posts = [
                SourcePost(number, texts[number], NOW + timedelta(minutes=number) + self._shelf.delay)
                for number in page
            ]
            title = self._shelf.titles.get(self._name, f"All {self._name}")
            channel = SourceChannel(None, self._shelf.renamed.get(self._name, self._name), title)
            is_last = len(older) <= 20
            position = page[0] if page else 0
            yield Delivery(channel, posts, position, self._shelf.skipped, is_whole=True, is_last=is_last)
            if is_last:
                return


class World:
    """A poller and the channels' use cases on one database, with a clock that tests set."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.shelf = Shelf()
        self.now = NOW
        self.heard: list[str] = []
        self.channels = ChannelService(database, lambda: None, lambda: self.now)
        self.poller = self.new_poller()
        self.users: dict[int, int] = {}

    def new_poller(self) -> Poller:
        return Poller(
            self.database,
            self.shelf,
            frozenset({ADMIN}),
            lambda: self.now,
            Random(1),
            on_posts=lambda: self.heard.append("posts"),
            on_news=lambda: self.heard.append("news"),
        )

    async def begin(self) -> None:
        async with self.database.write() as session:
            for telegram_id in (ADMIN, FIRST, SECOND):
                user = User(telegram_id=telegram_id)
                session.add(user)
                await session.flush()
                self.users[telegram_id] = user.id

    async def add(self, who: int, name: str) -> int:
        [added] = await self.channels.add(self.users[who], [name], who)
        assert added.channel_id is not None
        return added.channel_id

    async def settle(self) -> None:
        """Until nothing is due."""
        while not await self.poller.work():
            pass

    async def later(self, **time: float) -> None:
        self.now += timedelta(**time)
        await self.settle()

    async def posts(self, who: int) -> dict[int, Post]:
        query = select(Post).where(Post.user_id == self.users[who])
        async with self.database.read() as session:
            found = list((await session.execute(query)).scalars())
        assert len({(post.channel_id, post.telegram_message_id) for post in found}) == len(found)
        return {post.telegram_message_id: post for post in found}

    async def count(self, who: int) -> int:
        query = select(func.count()).select_from(Post).where(Post.user_id == self.users[who])
        async with self.database.read() as session:
            return (await session.execute(query)).scalar_one()

    async def told(self, who: int) -> list[dict[str, Any]]:
        """What somebody is told, and has not been asked about before."""
        query = (
            select(OutboxRow).where(OutboxRow.telegram_id == who, OutboxRow.done_at.is_(None)).order_by(OutboxRow.id)
        )
        async with self.database.write() as session:
            rows = list((await session.execute(query)).scalars())
            for row in rows:
                row.done_at = self.now
        return [row.payload or {} for row in rows]
