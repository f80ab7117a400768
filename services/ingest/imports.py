from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.clock import Clock
from services.ingest.store import StoreResult, store
from services.sources.base import Delivery, Source
from services.text import storable
from storage.db.engine import Database
from storage.posts import bulk
from storage.posts import imports as rows
from storage.queue.claim import Priority
from storage.schema.source_tables import ImportRow

NAME_LENGTH = 255
#: Posts queued in one transaction, so that other writers need not wait for long.
PORTION = 1000


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What the messages of a file became so far.

    Attributes:
        new, known, edited: posts stored, stored before, and stored before with an older text.
        without_text: new posts with nothing to tag.
        skipped: messages that became no post, reason ('service', 'unreadable', 'unsupported', 'damaged') → how many.
        chats, personal: chats with posts, and those of them with one person or bot.
        held_chats, held_posts: chats whose user has to agree first, and their posts with text, each by ChatKind.
        last_chat: Telegram's id of the latest chat.
    """

    messages: int = 0
    new: int = 0
    known: int = 0
    edited: int = 0
    without_text: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    chats: int = 0
    personal: int = 0
    held_chats: Mapping[str, int] = field(default_factory=dict)
    held_posts: Mapping[str, int] = field(default_factory=dict)
    last_chat: int | None = None

    def plus(self, delivery: Delivery, stored: StoreResult | None) -> "ImportResult":
        """The result with a further delivery; `stored` is None if the delivery held no posts."""
        skipped = dict(Counter(self.skipped) + Counter(delivery.skipped))
        if stored is None:
            return ImportResult(**{**self.counts(), "messages": delivery.position, "skipped": skipped})
        chat = delivery.channel.telegram_id
        is_other = chat != self.last_chat
        kind = delivery.channel.kind.value
        is_held = delivery.channel.waits_for_consent
        return ImportResult(
            messages=delivery.position,
            new=self.new + stored.new,
            known=self.known + stored.known,
            edited=self.edited + stored.edited,
            without_text=self.without_text + stored.new + stored.edited - stored.queued,
            skipped=skipped,
            chats=self.chats + is_other,
            # The Bot API gives groups and channels negative ids.
            personal=self.personal + (is_other and (chat or 0) > 0),
            held_chats=_more(self.held_chats, kind, int(is_held and is_other)),
            held_posts=_more(self.held_posts, kind, stored.held),
            last_chat=chat,
        )

    def counts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def _more(counts: Mapping[str, int], name: str, count: int) -> Mapping[str, int]:
    return dict(Counter(counts) + Counter({name: count}))


@dataclass(frozen=True, slots=True)
class Import:
    """An import to do, or to resume from `done.messages`.

    The last four are set for a file that was sent to the bot: its sender, and the message that shows the progress.
    """

    id: int
    user_id: int
    done: ImportResult
    created_at: datetime
    file_name: str | None = None
    file_id: str | None = None
    telegram_id: int | None = None
    chat_id: int | None = None
    message_id: int | None = None


class ImportTakenError(Exception):
    """Another process does this import, or its user was deleted."""


class Imports:
    """Imports of exported files, in parts, each stored together with the import's position. `wake` wakes the worker."""

    def __init__(self, database: Database, wake: Callable[[], None], clock: Clock) -> None:
        self._database = database
        self._wake = wake
        self._clock = clock

    async def begin(self, user_id: int, *, fingerprint: str, file_name: str) -> Import:
        async with self._database.write() as session:
            row = await rows.find_unfinished(session, user_id, fingerprint)
            return _import(row or await rows.add(session, self._row(user_id, file_name, fingerprint=fingerprint)))

    async def receive(
        self, user_id: int, *, file_id: str, file_name: str, telegram_id: int, chat_id: int, message_id: int
    ) -> None:
        """Queue a file that a user sent to the bot; the message shows the progress."""
        whose = {"telegram_id": telegram_id, "chat_id": chat_id, "message_id": message_id}
        async with self._database.write() as session:
            await rows.add(session, self._row(user_id, file_name, file_id=file_id, **whose))

    def _row(self, user_id: int, file_name: str, **values: Any) -> ImportRow:
        name = storable(file_name)[-NAME_LENGTH:]
        return ImportRow(user_id=user_id, file_name=name, position=0, created_at=self._clock(), **values)

    async def received(self) -> list[Import]:
        async with self._database.read() as session:
            return [_import(row) for row in await rows.find_received(session)]

    async def steps(self, work: Import, source: Source) -> AsyncGenerator[ImportResult]:
        """Store the file part by part, and give the result so far after each.

        An interrupted import resumes after the last part: nothing is lost or counted twice.

        Raises:
            SourceError: the file cannot be read, or not any further.
            ImportTakenError: another process goes on with it.
        """
        done = work.done
        async for delivery in source.deliveries(done.messages):
            done = await self._store(work, done, delivery)
            yield done

    async def _store(self, work: Import, done: ImportResult, delivery: Delivery) -> ImportResult:
        stored = None
        async with self._database.write() as session:
            if not await rows.take(session, work.id, done.messages):
                raise ImportTakenError
            if delivery.posts:
                held_at = work.created_at if delivery.channel.waits_for_consent else None
                stored = await store(
                    session, work.user_id, delivery, self._clock(), work_class=Priority.BACKFILL, held_at=held_at
                )
            done = done.plus(delivery, stored)
            await rows.advance(session, work.id, done.messages, done.counts())
        if stored is not None and stored.queued > stored.held:
            self._wake()
        return done

    async def find(self, import_id: int, telegram_id: int) -> Import | None:
        """An import of a file that this person sent to the bot."""
        async with self._database.read() as session:
            row = await rows.find(session, import_id, telegram_id)
        return None if row is None else _import(row)

    async def tag_held(self, work: Import) -> int:
        """Queue the import's posts of personal chats, since their user agrees; returns how many."""
        total, count = 0, PORTION
        while count == PORTION:
            async with self._database.write() as session:
                count = await bulk.release(session, work.user_id, work.created_at, PORTION)
            total += count
        if total:
            self._wake()
        return total

    async def finish(self, work: Import, error: str | None = None) -> None:
        """The import is done, or failed for this reason; importing the file again begins anew."""
        async with self._database.write() as session:
            await rows.finish(session, work.id, self._clock(), storable(error) if error else None)


def _import(row: ImportRow) -> Import:
    return Import(
        id=row.id,
        user_id=row.user_id,
        done=_result(row.counts, row.position),
        created_at=row.created_at,
        file_name=row.file_name,
        file_id=row.file_id,
        telegram_id=row.telegram_id,
        chat_id=row.chat_id,
        message_id=row.message_id,
    )


def _result(counts: Mapping[str, Any] | None, position: int) -> ImportResult:
    known = {name: value for name, value in (counts or {}).items() if name in ImportResult.__slots__}
    return ImportResult(**{**known, "messages": position})
