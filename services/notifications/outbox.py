from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.people import DEFAULT_LANGUAGE
from services.clock import Clock, zone_or
from services.notifications.timing import next_hour, quiet_until
from storage import outbox as rows
from storage.accounts import people
from storage.db.engine import Database
from storage.schema.tables import OutboxRow, Person
from storage.tags import watches

NoticeKind = Literal["failed", "result", "admin", "channel", "digest", "watch"]
#: Alerts that quiet hours do not hold: tagging stands still, or an answer to what the person asked.
URGENT = frozenset({"account", "approved", "declined"})


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
    #: The person's own; None: the setting TIMEZONE.
    time_zone: str | None = None


class Outbox:
    """Notices that wait to be sent, or to be edited into a message. The failures of one person are joined.

    `due` holds a notice for a minute: it returns the notice again unless another method was called for it.
    """

    def __init__(self, database: Database, clock: Clock, time_zone: ZoneInfo | None = None) -> None:
        """`time_zone`: of people who have not chosen theirs; UTC if it is not given."""
        self._database = database
        self._clock = clock
        self._time_zone = time_zone or ZoneInfo("UTC")

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
            recipients = await people.find_several(session, {row.telegram_id for row in singles} | set(failed))
            notices = [
                *(_single(row, recipients.get(row.telegram_id)) for row in singles),
                *(_joined(who, theirs, recipients.get(who)) for who, theirs in failed.items()),
            ]
            since = {who: min(each.created_at for each in theirs) for who, theirs in failed.items()}
            return [each for each in notices if not await self._held(session, each, recipients, since, now)]

    async def _held(
        self,
        session: AsyncSession,
        notice: Notice,
        recipients: Mapping[int, Person],
        since: Mapping[int, datetime],
        now: datetime,
    ) -> bool:
        """Whether the notice has to wait for the person's hour; then it is due again at that time."""
        person = recipients.get(notice.telegram_id)
        if person is None or not _is_unasked(notice):
            return False
        zone = zone_or(person.time_zone, self._time_zone)
        until = quiet_until(now, zone, person.quiet_from, person.quiet_until)
        if notice.kind == "failed" and person.notices == "digest":
            at = next_hour(since[notice.telegram_id], zone, people.digest_hour(person))
            until = max(until or at, at) if at > now else until
        if until is not None:
            await rows.postpone(session, notice.ids, until)
        return until is not None

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


def _is_unasked(notice: Notice) -> bool:
    if notice.kind == "result":
        return bool(notice.payload.get("news"))
    if notice.kind == "channel":
        # A notice that edits a message shows the progress of an import or a reading that the person started.
        return notice.message_id is None
    return notice.kind in {"failed", "watch"} or (notice.kind == "admin" and notice.payload.get("text") not in URGENT)


def _language(person: Person | None) -> str:
    return (person.language if person else None) or DEFAULT_LANGUAGE


def _single(row: OutboxRow, person: Person | None) -> Notice:
    return Notice(
        ids=(row.id,),
        kind=cast("NoticeKind", row.kind),
        telegram_id=row.telegram_id,
        chat_id=row.chat_id or row.telegram_id,
        message_id=row.message_id,
        post_ids=() if row.post_id is None else (row.post_id,),
        payload=row.payload or {},
        language=_language(person),
        ready_at=row.ready_at,
        thread_id=row.thread_id,
        time_zone=person.time_zone if person else None,
    )


def _joined(telegram_id: int, failed: Sequence[rows.Failed], person: Person | None) -> Notice:
    return Notice(
        ids=tuple(each.row_id for each in failed),
        kind="failed",
        telegram_id=telegram_id,
        chat_id=telegram_id,
        message_id=None,
        post_ids=tuple(dict.fromkeys(each.post_id for each in failed)),
        payload={},
        language=_language(person),
        time_zone=person.time_zone if person else None,
    )
