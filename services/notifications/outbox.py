from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast

from services.accounts.people import DEFAULT_LANGUAGE
from services.clock import Clock
from storage import outbox as rows
from storage.accounts import people
from storage.db.engine import Database
from storage.schema.tables import OutboxRow
from storage.tags import watches

NoticeKind = Literal["failed", "result", "admin", "channel", "digest", "watch"]


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to send, or to edit if it has a `message_id`. `ids` are its outbox rows."""

    ids: tuple[int, ...]
    kind: NoticeKind
    telegram_id: int
    chat_id: int
    message_id: int | None
    post_ids: tuple[int, ...]
    payload: dict[str, Any]
    language: str
    #: Since when it is ready; a later outcome of the post is shown separately.
    ready_at: datetime | None = field(default=None)
    #: The topic of a group.
    thread_id: int | None = None


class Outbox:
    """Notices that wait to be sent, or to be edited into a message. The failures of one person are joined.

    `due` holds a notice for a minute: it returns the notice again unless another method was called for it.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def any_open(self) -> bool:
        async with self._database.read() as session:
            return bool(await session.scalar(rows.is_any_open()))

    async def due(self, limit: int = 30) -> list[Notice]:
        now = self._clock()
        async with self._database.read() as session:
            if not await rows.anything_due(session, now):
                return []
        async with self._database.write() as session:
            singles = await rows.take_singles(session, limit, now)
            failed = await rows.take_failed(session, limit, now)
            recipients = {row.telegram_id for row in singles} | set(failed)
            languages = await people.languages(session, recipients)
        return [
            *(_single(row, languages.get(row.telegram_id, DEFAULT_LANGUAGE)) for row in singles),
            *(_joined(who, theirs, languages.get(who, DEFAULT_LANGUAGE)) for who, theirs in failed.items()),
        ]

    async def sent(self, notice: Notice, message_id: int | None, *, final: bool = True) -> None:
        """Telegram accepted the notice. A result that is not `final` waits for the post's next outcome."""
        now = self._clock()
        async with self._database.write() as session:
            if notice.kind == "result":
                shown = message_id or notice.message_id
                await rows.shown(session, notice.ids[0], message_id=shown, of=notice.ready_at, final=final, now=now)
                return
            await rows.close(session, notice.ids, now, message_id=message_id)
            if notice.kind == "failed":
                await people.save(session, notice.telegram_id, now, last_notice_at=now)

    async def postpone(self, notice: Notice, until: datetime) -> None:
        """Send the notice later: Telegram asked to wait, or did not answer."""
        async with self._database.write() as session:
            await rows.postpone(session, notice.ids, until)

    async def undeliverable(self, notice: Notice, error: str) -> None:
        async with self._database.write() as session:
            await rows.close(session, notice.ids, self._clock(), error=error)

    async def unreachable(self, notice: Notice) -> None:
        """The person blocked the bot, or never started it: the notice waits until they write."""
        async with self._database.write() as session:
            await people.save(session, notice.telegram_id, self._clock(), reachable=False)
            await rows.give_back(session, notice.ids)

    async def place_lost(self, notice: Notice, error: str) -> None:
        """The group takes no messages of a watch: it is paused, and its maker told."""
        now = self._clock()
        async with self._database.write() as session:
            await rows.close(session, notice.ids, now, error=error)
            watch = await watches.give_up(session, notice.payload["watch"], notice.ids)
            if watch is not None:
                payload = {"text": "watch_lost", "query": watch.query}
                await rows.tell_admins(session, [watch.telegram_id], payload, now)

    async def chat_moved(self, notice: Notice, chat_id: int) -> None:
        """The group has become a supergroup: what waits for it goes to its new id."""
        async with self._database.write() as session:
            await watches.move_chat(session, notice.chat_id, chat_id)
            await rows.give_back(session, notice.ids)

    async def attach(self, outbox_id: int, message_id: int, follow: str | None = None) -> None:
        """Show the result in this message; `follow`: the public channel that it offers to follow."""
        async with self._database.write() as session:
            await rows.attach(session, outbox_id, message_id, {"follow": follow} if follow else None)


def _single(row: OutboxRow, language: str) -> Notice:
    return Notice(
        ids=(row.id,),
        kind=cast("NoticeKind", row.kind),
        telegram_id=row.telegram_id,
        chat_id=row.chat_id or row.telegram_id,
        message_id=row.message_id,
        post_ids=() if row.post_id is None else (row.post_id,),
        payload=row.payload or {},
        language=language,
        ready_at=row.ready_at,
        thread_id=row.thread_id,
    )


def _joined(telegram_id: int, failed: Sequence[tuple[int, int]], language: str) -> Notice:
    return Notice(
        ids=tuple(row_id for row_id, _ in failed),
        kind="failed",
        telegram_id=telegram_id,
        chat_id=telegram_id,
        message_id=None,
        post_ids=tuple(dict.fromkeys(post_id for _, post_id in failed)),
        payload={},
        language=language,
    )
