"""Imports of exported files: in parts, each stored together with where the import then stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.accounts.people import storable
from services.clock import Clock
from services.ingest.store import Tally, store
from services.sources.base import Delivery, Source
from storage.db.engine import Database
from storage.posts import imports as rows
from storage.queue.claim import Priority
from storage.schema import parser_tables
from storage.schema.source_tables import ImportRow
from storage.schema.tables import Post

#: Of a file's name.
NAME_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of the messages of a file so far.

    Attributes:
        messages: all of them.
        new, known, edited: posts stored, stored already, and stored with an older text.
        without_text: of the new ones those with nothing to tag.
        skipped: what became no post, reason ('service', 'unreadable') → how many.
        chats: that had posts.
        personal: of these the chats with one person or bot.
        last_chat: the one that came last.
    """

    messages: int = 0
    new: int = 0
    known: int = 0
    edited: int = 0
    without_text: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    chats: int = 0
    personal: int = 0
    last_chat: int | None = None

    def plus(self, delivery: Delivery, tally: Tally | None) -> Summary:
        """And what came of a delivery; None: it held no posts."""
        skipped = dict(Counter(self.skipped) + Counter(delivery.skipped))
        if tally is None:
            return Summary(**{**self.counts(), "messages": delivery.position, "skipped": skipped})
        chat = delivery.channel.telegram_id
        is_other = chat != self.last_chat
        return Summary(
            messages=delivery.position,
            new=self.new + tally.new,
            known=self.known + tally.known,
            edited=self.edited + tally.edited,
            without_text=self.without_text + tally.new + tally.edited - tally.tagged_later,
            skipped=skipped,
            chats=self.chats + is_other,
            # The Bot API gives groups and channels numbers below zero.
            personal=self.personal + (is_other and (chat or 0) > 0),
            last_chat=chat,
        )

    def counts(self) -> dict[str, Any]:
        """As `metka_imports.counts` holds it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Import:
    """An import that is to be done, or to be gone on with from `done.messages`.

    Attributes:
        file_id, telegram_id, chat_id, message_id: of a file that was sent to the bot: Telegram's name for it, who sent
            it, and the message that shows how far it is.
    """

    id: int
    user_id: int
    done: Summary
    file_name: str | None = None
    file_id: str | None = None
    telegram_id: int | None = None
    chat_id: int | None = None
    message_id: int | None = None


class ImportTakenError(Exception):
    """Another process does this import, or its user was deleted."""


class Imports:
    """Use cases on imports. `wake`: there are posts to be tagged."""

    def __init__(self, database: Database, wake: Callable[[], None], clock: Clock) -> None:
        self._database = database
        self._wake = wake
        self._clock = clock

    async def begin(self, user_id: int, *, fingerprint: str, file_name: str) -> Import:
        """Import a file for a user: go on with an import of it that was broken off, or begin a new one."""
        async with self._database.write() as session:
            row = await rows.find_unfinished(session, user_id, fingerprint)
            return _import(row or await rows.add(session, self._row(user_id, file_name, fingerprint=fingerprint)))

    async def receive(
        self, user_id: int, *, file_id: str, file_name: str, telegram_id: int, chat_id: int, message_id: int
    ) -> None:
        """A user sent a file to the bot: it is imported by and by, and the message shows how far it is."""
        whose = {"telegram_id": telegram_id, "chat_id": chat_id, "message_id": message_id}
        async with self._database.write() as session:
            await rows.add(session, self._row(user_id, file_name, file_id=file_id, **whose))

    def _row(self, user_id: int, file_name: str, **values: Any) -> ImportRow:
        name = storable(file_name)[-NAME_LENGTH:]
        return ImportRow(user_id=user_id, file_name=name, position=0, created_at=self._clock(), **values)

    async def received(self) -> list[Import]:
        """Files that were sent to the bot and are not imported yet, or not wholly."""
        async with self._database.read() as session:
            return [_import(row) for row in await rows.find_received(session)]

    async def steps(self, work: Import, source: Source) -> AsyncGenerator[Summary]:
        """Store a part of the file after the other; gives what came of it so far after each.

        Each part is stored in one transaction with the import's position: whenever it is broken off, it goes on
        from there, and nothing is lost or counted twice.

        Raises:
            SourceError: the file cannot be read (any further).
            ImportTakenError: somebody else takes it further.
        """
        done = work.done
        async with self._database.read() as session:
            neutral = await parser_tables.required_values(session, Post, now=self._clock())
        async for delivery in source.deliveries(done.messages):
            done = await self._store(work, done, delivery, neutral)
            yield done

    async def _store(
        self, work: Import, done: Summary, delivery: Delivery, neutral: parser_tables.NeutralValues
    ) -> Summary:
        tally = None
        async with self._database.write() as session:
            if not await rows.take(session, work.id, done.messages):
                raise ImportTakenError
            if delivery.posts:
                now, order = self._clock(), Priority.BACKFILL
                tally = await store(session, work.user_id, delivery, now, work_class=order, neutral=neutral)
            done = done.plus(delivery, tally)
            await rows.advance(session, work.id, done.messages, done.counts())
        if tally is not None and tally.tagged_later:
            self._wake()
        return done

    async def finish(self, work: Import, error: str | None = None) -> None:
        """It is done; or it cannot be, for this reason: the same file then begins anew."""
        async with self._database.write() as session:
            await rows.finish(session, work.id, self._clock(), storable(error) if error else None)


def _import(row: ImportRow) -> Import:
    return Import(
        id=row.id,
        user_id=row.user_id,
        done=_summary(row.counts, row.position),
        file_name=row.file_name,
        file_id=row.file_id,
        telegram_id=row.telegram_id,
        chat_id=row.chat_id,
        message_id=row.message_id,
    )


def _summary(counts: Mapping[str, Any] | None, position: int) -> Summary:
    known = {name: value for name, value in (counts or {}).items() if name in Summary.__slots__}
    return Summary(**{**known, "messages": position})
