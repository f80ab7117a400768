from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.clock import Clock
from services.hashtags.channel_edits import original_of, switch_off
from services.hashtags.formatting import EditableMessage, appended, line_for
from services.tags.rules import HashtagStyle
from services.tags.user_rules import rules_of_posts
from storage import outbox
from storage.channels import hashtags as rows
from storage.db.engine import Database
from storage.posts import channel_posts
from storage.schema.source_tables import HashtagRow

log = structlog.get_logger(__name__)

PORTION = 50


class SwitchResult(StrEnum):
    DONE = "done"
    NO_RIGHT = "no_right"
    NOT_THEIRS = "not_theirs"


class UndoResult(StrEnum):
    BEGUN = "begun"
    NOTHING = "nothing"
    NOT_THEIRS = "not_theirs"


@dataclass(frozen=True, slots=True)
class HashtagChannel:
    id: int
    title: str
    is_on: bool
    can_edit: bool | None


@dataclass(frozen=True, slots=True)
class HashtagChannels:
    channels: tuple[HashtagChannel, ...]
    last_written: int | None = None


@dataclass(frozen=True, slots=True)
class MessageEdit:
    """An edit to make: the original text with `line` below it, or without hashtags (None)."""

    post_id: int
    chat_id: int
    message_id: int
    original: EditableMessage
    line: str | None
    is_undo: bool

    @property
    def text(self) -> str:
        return appended(self.original.text, self.line)


class ChannelHashtags:
    """Use cases of hashtags in channels. `wake` is called when there is an edit to make or a notice to send."""

    def __init__(self, database: Database, wake: Callable[[], None], clock: Clock) -> None:
        self._database = database
        self._wake = wake
        self._clock = clock

    async def channels(self, telegram_id: int) -> HashtagChannels:
        async with self._database.read() as session:
            owned = await rows.channels_of(session, telegram_id)
            last = await rows.last_written(session, [owner.telegram_channel_id for owner in owned])
        shown = (
            HashtagChannel(
                id=owner.telegram_channel_id,
                title=owner.title or str(owner.telegram_channel_id),
                is_on=owner.hashtags_since is not None,
                can_edit=owner.can_edit,
            )
            for owner in owned
        )
        return HashtagChannels(tuple(shown), last)

    async def switch(self, telegram_id: int, chat_id: int, *, on: bool, can_edit: bool | None = None) -> SwitchResult:
        """Switch hashtags in new posts of a channel on or off.

        `can_edit`: whether Telegram lets the bot edit there; None if it was not asked.
        """
        now = self._clock()
        async with self._database.write() as session:
            owner = await channel_posts.owner_of(session, chat_id)
            if owner is None or owner.owner_telegram_id != telegram_id:
                return SwitchResult.NOT_THEIRS
            owner.can_edit = owner.can_edit if can_edit is None else can_edit
            if not on:
                await switch_off(session, owner, now)
            elif not owner.can_edit:
                return SwitchResult.NO_RIGHT
            elif owner.hashtags_since is None:
                owner.hashtags_since = now
        log.info("hashtags_switched", channel=chat_id, on=on)
        return SwitchResult.DONE

    async def undo(self, telegram_id: int, post_id: int) -> UndoResult:
        async with self._database.write() as session:
            row = await rows.find(session, post_id)
            owner = await channel_posts.owner_of(session, row.chat_id) if row is not None else None
            if row is None or owner is None or owner.owner_telegram_id != telegram_id:
                return UndoResult.NOT_THEIRS
            if row.state == "undoing":
                return UndoResult.BEGUN
            if row.line is None:
                return UndoResult.NOTHING
            # Also in state `refused`: earlier hashtags may still stand.
            row.state, row.updated_at = "undoing", self._clock()
        self._wake()
        return UndoResult.BEGUN

    async def count_changed(self, telegram_id: int, user_id: int, change_id: int) -> int:
        """Posts with hashtags in the person's channels that a change of the user's tags touched."""
        async with self._database.read() as session:
            return await rows.count_changed(session, telegram_id, user_id, change_id)

    async def write_changed(self, telegram_id: int, user_id: int, change_id: int) -> int:
        """Queue edits of those posts, which get the tags that they have now. Returns how many."""
        async with self._database.write() as session:
            count = await rows.rewrite_changed(session, telegram_id, user_id, change_id)
        self._wake()
        return count

    async def write_post(self, telegram_id: int, post_id: int) -> int:
        """The same for one post."""
        async with self._database.write() as session:
            count = await rows.rewrite_post(session, telegram_id, post_id)
        self._wake()
        return count

    async def due(self, without: Collection[int] = ()) -> list[MessageEdit]:
        """The edits to make now, one per channel, except in the channels `without`.

        The new line is stored first, so that our own edit is recognised when Telegram reports it.
        """
        async with self._database.read() as session:
            if not await session.scalar(rows.is_any_ready(without)):
                return []
        async with self._database.write() as session:
            found = await rows.ready(session, PORTION, without)
            return list(self._begun(found, await _in_camel_case(session, [row.post_id for row, _ in found])))

    def _begun(
        self, found: Sequence[tuple[HashtagRow, Sequence[str]]], camel: Collection[int]
    ) -> Iterator[MessageEdit]:
        """The edits for rows that need one; the other rows are marked as done."""
        chats = set[int]()
        for row, tags in found:
            is_undo, original = row.state == "undoing", original_of(row)
            line = None if is_undo else line_for(original, tags, camel=row.post_id in camel)
            if row.line == line and not is_undo:
                row.state, row.updated_at = "written", self._clock()
            elif not original.text and not original.is_caption:
                # Telegram has no messages with empty text.
                row.state, row.updated_at = "undone", self._clock()
            elif row.chat_id not in chats:
                chats.add(row.chat_id)
                row.other_line = line or row.other_line
                yield MessageEdit(row.post_id, row.chat_id, row.message_id, original, line, is_undo)

    async def written(self, edit: MessageEdit, edited_at: datetime | None) -> None:
        """Telegram accepted the edit, or the message was so already (`edited_at` None)."""
        async with self._database.write() as session:
            row = await rows.find(session, edit.post_id)
            if row is None:
                return
            is_removed = edit.is_undo and row.line is not None
            row.other_line, row.line = row.line or row.other_line, edit.line
            row.edited_at = edited_at or row.edited_at
            row.state, row.error = await self._state_after(session, row, edit), None
            row.updated_at = self._clock()
            if is_removed:
                await self._tell(session, edit, "hashtags_removed")
        if is_removed:
            self._wake()
        log.info("hashtags_written", post_id=edit.post_id, undone=edit.is_undo)

    async def _state_after(self, session: AsyncSession, row: HashtagRow, edit: MessageEdit) -> str:
        """The row's next state. Changes made during our edit were overwritten, and must be restored."""
        is_as_it_was = original_of(row) == edit.original
        if edit.is_undo:
            return "undone" if is_as_it_was else "undoing"
        if row.state != "waiting":
            return "undoing" if row.state == "undone" else row.state
        camel = await _in_camel_case(session, [row.post_id])
        wanted = line_for(original_of(row), await rows.tags_of(session, row.post_id), camel=bool(camel))
        if not is_as_it_was:
            row.line, row.other_line = None, edit.line
        return "written" if is_as_it_was and wanted == edit.line else "waiting"

    async def refused(
        self, edit: MessageEdit, reason: str, *, rights_lost: bool = False, is_gone: bool = False
    ) -> None:
        """Telegram refused the edit: the post stays as it is.

        `rights_lost`: the bot may not edit in this channel at all, so hashtags are switched off there.
        """
        now = self._clock()
        async with self._database.write() as session:
            row = await rows.find(session, edit.post_id)
            if row is not None:
                if edit.is_undo and row.line is not None and not is_gone:
                    await self._tell(session, edit, "hashtags_stay")
                row.state, row.error, row.updated_at = "refused", reason, now
                row.line = None if is_gone else row.line
            owner = await channel_posts.owner_of(session, edit.chat_id) if rights_lost else None
            if owner is not None:
                owner.can_edit = False
                await switch_off(session, owner, now, tell="hashtags_off")
        self._wake()
        log.warning("hashtags_refused", post_id=edit.post_id, channel=edit.chat_id, error=reason)

    async def _tell(self, session: AsyncSession, edit: MessageEdit, text: str) -> None:
        owner = await channel_posts.owner_of(session, edit.chat_id)
        if owner is not None:
            payload = {"text": text, "post": edit.post_id}
            await outbox.tell_of_channel(session, owner.owner_telegram_id, payload, self._clock())


async def _in_camel_case(session: AsyncSession, post_ids: Collection[int]) -> set[int]:
    """The posts whose owners want #НейронныеСети instead of #нейронные_сети."""
    rules = await rules_of_posts(session, post_ids)
    return {post_id for post_id, each in rules.items() if each.hashtag_style is HashtagStyle.CAMEL}
