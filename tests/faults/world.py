"""The real bot between a faulty provider, a Telegram and a database: built, watched, waited for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from random import Random

from sqlalchemy import insert, select
from sqlalchemy import text as sql

from sandbox.provider import ProviderSandbox, RequestRecord
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database
from storage.schema.tables import Attempt, Post
from tests.end_to_end.process import ADMIN, USER, Bot, environment, running_bot
from tests.storage.rows import NOW, add_user

CONCURRENCY, BATCH = 4, 1
MODELS = ("one/model", "two/model", "three/model")
_CONSONANTS, _VOWELS = "бвгджзклмнпрстфхцчшщ", "аеиоу"


def marker(number: int) -> str:
    """What stands in this post's text and in no other's."""
    return f"№{number}."


def text_of(number: int) -> str:
    """A post whose words, and so whose tags, are its own."""
    random = Random(number)
    words = ("".join(random.choice(_CONSONANTS) + random.choice(_VOWELS) for _ in range(4)) for _ in range(9))
    return f"{marker(number)} {' и '.join(words)}"


class World:
    """One scenario's surroundings. `bots` holds every process started, with its log."""

    def __init__(self, url: str, database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> None:
        self.url = url
        self.database = database
        self.telegram = telegram
        self.provider = provider
        self.bots: list[Bot] = []
        telegram.add_user(ADMIN, "Anna", "en", started=True)
        telegram.add_user(USER, "Ben", "en", started=True)

    @asynccontextmanager
    async def bot(self, **more: str) -> AsyncIterator[Bot]:
        """`python -m bot` while the block runs."""
        settings = {"TAGGING_CONCURRENCY": str(CONCURRENCY), "TAGGING_BATCH_SIZE": str(BATCH), **more}
        async with running_bot(environment(self.url, self.telegram, self.provider, **settings)) as bot:
            self.bots.append(bot)
            yield bot

    async def fill(self, count: int) -> None:
        """So many posts of the user whose Telegram id is USER, as the parser inserts them."""
        rows = [
            {
                "id": number,
                "user_id": 2,
                "channel_id": 2,
                "telegram_message_id": number,
                "text": text_of(number),
                "posted_at": NOW,
            }
            for number in range(1, count + 1)
        ]
        async with self.database.write() as session:
            await add_user(session, 2)
            await session.execute(insert(Post), rows)
            if not self.database.is_sqlite:
                # Rows with a number of their own do not move PostgreSQL's sequences on.
                for table in ("users", "channels", "posts"):
                    await session.execute(
                        sql(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")
                    )
        self.provider.learn(*(text_of(number) for number in range(1, count + 1)))

    async def posts(self) -> list[Post]:
        """The rows as they are."""
        async with self.database.read() as session:
            return list((await session.execute(select(Post).order_by(Post.id))).scalars())

    async def attempts(self) -> list[Attempt]:
        """The requests as the bot has kept them."""
        async with self.database.read() as session:
            return list((await session.execute(select(Attempt).order_by(Attempt.id))).scalars())

    # -- waiting --------------------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], Awaitable[bool] | bool], seconds: float = 60.0) -> None:
        """Wait for a condition; `seconds` is only there to end a broken run, which then shows its state."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found = condition()
                    if found if isinstance(found, bool) else await found:
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(await self._state()) from None

    async def until_settled(self, seconds: float = 60.0) -> None:
        """Nothing is queued any more."""

        async def settled() -> bool:
            statuses = {post.tagging_status for post in await self.posts()}
            return not statuses & {"pending", "retrying"}

        await self.until(settled, seconds)

    async def until_requests(self, count: int, seconds: float = 60.0) -> None:
        """The provider has had so many requests since the sandbox began."""
        await self.until(lambda: len(self.provider.requests) >= count, seconds)

    async def until_in_flight(self, count: int) -> None:
        """So many requests are with the provider now."""
        await self.until(lambda: self.provider.in_flight >= count)

    async def until_told(self, person: int, words: str, count: int = 1, seconds: float = 60.0) -> int:
        """A person has been told so, so often; the last such message's id."""
        await self.until(lambda: len(self.told(person, words)) >= count, seconds)
        return self.told(person, words)[-1]

    async def _state(self) -> str:
        statuses = Counter(post.tagging_status for post in await self.posts())
        outcomes = Counter(record.outcome for record in self.provider.requests)
        logs = "\n".join("".join(bot.log.splitlines(keepends=True)[-25:]) for bot in self.bots)
        return f"it never came; posts: {statuses}; requests: {outcomes}\n{logs}"

    # -- looking --------------------------------------------------------------------------------------------

    def told(self, person: int, words: str) -> list[int]:
        """The ids of the bot's messages to a person that hold these words."""
        return [m["message_id"] for m in self.telegram.from_bot(person) if words in m["text"]]

    async def admin_ready(self) -> None:
        """The administrator has started the bot, and so can be told things."""
        self.telegram.send_text(ADMIN, "/start")
        await self.until(lambda: bool(self.telegram.from_bot(ADMIN)))

    def requests_about(self, number: int) -> list[RequestRecord]:
        """The requests that asked about a post."""
        return [record for record in self.provider.requests if marker(number) in record.message]

    def outcomes(self, names: Iterable[str]) -> int:
        """How many requests ended so."""
        wanted = set(names)
        return len([record for record in self.provider.requests if record.outcome in wanted])
