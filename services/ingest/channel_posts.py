from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.people import People
from services.clock import Clock
from services.hashtags import channel_edits
from services.hashtags.formatting import EditableMessage, without_line
from services.text import has_text, storable
from storage import outbox
from storage.accounts import people as people_rows
from storage.channels import hashtags
from storage.db.engine import Database
from storage.db.locks import lock_number, lock_post
from storage.posts import channel_posts as rows
from storage.posts.channel_posts import StoredPost
from storage.schema.tables import UNSUPPORTED, ChannelOwner

log = structlog.get_logger(__name__)

#: The column's length; Telegram's ids have about 17 characters.
ALBUM_ID_LENGTH = 64
#: A person's drafts are posts of a channel of this number less theirs, which no chat of Telegram's has.
DRAFTS = -5 * 10**12


@dataclass(frozen=True, slots=True)
class IncomingPost:
    """A channel's message as Telegram describes it.

    `original`: the message as the bot would edit it; None without a text to edit.
    `is_supported`: False if the message may say something that cannot be read.
    """

    channel_telegram_id: int
    channel_title: str
    channel_username: str | None
    message_id: int
    text: str | None
    posted_at: datetime
    media_group_id: str | None = None
    url: str | None = None
    original: EditableMessage | None = None
    edited_at: datetime | None = None
    is_supported: bool = True


class StoreOutcome(StrEnum):
    NEW = "new"
    KNOWN = "known"
    EDITED = "edited"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class ChannelPostResult:
    """`outbox_id`: set if a user waits for the post's tags."""

    outcome: StoreOutcome
    post_id: int | None = None
    outbox_id: int | None = None


def drafts_of(telegram_id: int) -> int:
    return DRAFTS - telegram_id


class ChannelPosts:
    """Stores posts of channels where the bot is an administrator, and forwarded posts. `wake` wakes the worker."""

    def __init__(self, database: Database, people: People, wake: Callable[[], None], clock: Clock) -> None:
        self._database = database
        self._people = people
        self._wake = wake
        self._clock = clock

    async def bot_added(
        self, channel_id: int, title: str, username: str | None, by_telegram_id: int, can_edit: bool | None = None
    ) -> None:
        """The bot was made an administrator of a channel: the person who did it owns the channel's posts.

        Telegram sends the same update when another administrator changes the bot's rights: the owner stays if they
        may use the bot. Without the right to edit (`can_edit`) hashtags are switched off.
        """
        async with self._database.write() as session:
            await lock_number(session, channel_id)
            known = await rows.owner_of(session, channel_id)
            keep = known is not None and await self._people.may_use(session, known.owner_telegram_id)
            owner = ChannelOwner(
                telegram_channel_id=channel_id,
                owner_telegram_id=known.owner_telegram_id if known and keep else by_telegram_id,
                title=storable(title),
                username=storable(username) if username else None,
                added_at=known.added_at if known and keep else self._clock(),
                removed_at=None,
                can_edit=can_edit,
                hashtags_since=known.hashtags_since if known and keep else None,
                tells_tagged=known.tells_tagged if known and keep else None,
            )
            owner = await rows.set_owner(session, owner)
            if await self._people.may_use(session, owner.owner_telegram_id):
                # With this row the channel is in /channels before its first post.
                await rows.channel_row(
                    session, channel_id, username=owner.username, title=owner.title or "", now=self._clock()
                )
            if can_edit is False:
                await channel_edits.switch_off(session, owner, self._clock(), tell="hashtags_off")
        log.info("channel_added", channel=channel_id, owner=owner.owner_telegram_id)

    async def bot_removed(self, channel_id: int) -> None:
        async with self._database.write() as session:
            owner = await rows.owner_of(session, channel_id)
            if owner is not None:
                await channel_edits.switch_off(session, owner, self._clock(), tell="taken_out")
            await rows.remove_owner(session, channel_id, self._clock())
        log.info("channel_removed", channel=channel_id)

    async def channel_post(self, post: IncomingPost) -> ChannelPostResult:
        """Store a new post for the channel's owner.

        A message of a stored album adds its caption if the album's post has no text yet.
        """
        return await self._from_channel(post, is_edit=False)

    async def channel_edit(self, post: IncomingPost) -> ChannelPostResult:
        """Store a post's edited text, so that it is tagged again; an unknown post is stored as new."""
        return await self._from_channel(post, is_edit=True)

    async def forwarded(self, post: IncomingPost, caller_user_id: int, chat_id: int) -> ChannelPostResult:
        """Store a forwarded channel post for a user; while it waits for tags, the user waits for the result."""
        post = _cleaned(post)
        async with self._database.write() as session:
            result = await self._store(session, post, caller_user_id, is_edit=False, owner=None)
            stored = None
            if result.post_id and await lock_post(session, result.post_id):
                stored = await rows.get_post(session, result.post_id)
            if stored is not None and stored.tagging_status in {"pending", "retrying"}:
                result = replace(
                    result, outbox_id=await self._await_result(session, stored.id, caller_user_id, chat_id)
                )
        self._wake_for(result)
        return result

    async def _await_result(self, session: AsyncSession, post_id: int, user_id: int, chat_id: int) -> int:
        who = await people_rows.telegram_id_of(session, user_id)
        return await outbox.open_result(
            session, post_id=post_id, telegram_id=who or chat_id, chat_id=chat_id, message_id=None, now=self._clock()
        )

    async def _from_channel(self, post: IncomingPost, *, is_edit: bool) -> ChannelPostResult:
        post = _cleaned(post)
        async with self._database.write() as session:
            owner = await rows.owner_of(session, post.channel_telegram_id)
            user_id = await self._people.account_of(session, owner.owner_telegram_id) if owner else None
            if owner is None or user_id is None:
                return ChannelPostResult(StoreOutcome.IGNORED)
            result = await self._store(session, post, user_id, is_edit=is_edit, owner=owner)
            if owner.tells_tagged and result.post_id is not None and _is_news(post, result, is_edit=is_edit):
                await self._tell_owner(session, result.post_id, owner.owner_telegram_id)
        self._wake_for(result)
        return result

    async def _tell_owner(self, session: AsyncSession, post_id: int, telegram_id: int) -> None:
        await outbox.open_result(
            session,
            post_id=post_id,
            telegram_id=telegram_id,
            chat_id=telegram_id,
            message_id=None,
            now=self._clock(),
            payload={"news": True},
        )

    async def _store(
        self, session: AsyncSession, post: IncomingPost, user_id: int, *, is_edit: bool, owner: ChannelOwner | None
    ) -> ChannelPostResult:
        """The lock keeps two updates of a channel from storing a post twice. `owner`: None for a forwarded post."""
        await lock_number(session, post.channel_telegram_id)
        now = self._clock()
        channel_id = await rows.channel_row(
            session,
            post.channel_telegram_id,
            username=post.channel_username,
            title=post.channel_title,
            now=now,
        )
        await rows.hold_channel(session, channel_id)
        known = await rows.find_post(session, user_id, channel_id, post.message_id)
        if known is None and post.media_group_id:
            known = await rows.find_album(session, user_id, channel_id, post.message_id, post.media_group_id)
        if is_edit or owner is None:
            post = await self._without_ours(session, post, channel_id, known if owner else None)
        result = await self._keep(session, post, user_id, channel_id, known, is_edit=is_edit)
        if owner is not None and result.post_id is not None and _gets_hashtags(owner, post, result, is_edit=is_edit):
            await self._begin_hashtags(session, result.post_id, post)
        return result

    async def _without_ours(
        self, session: AsyncSession, post: IncomingPost, channel_id: int, edited: StoredPost | None
    ) -> IncomingPost:
        if edited is None:
            lines = await hashtags.appended_to(session, channel_id, [post.message_id])
            text = without_line(post.text or "", lines.get(post.message_id, ()))
        else:
            message = post.original or EditableMessage(post.text or "")
            now = self._clock()
            text = await channel_edits.record_edit(session, edited.id, post.message_id, message, post.edited_at, now)
        return post if text is None else replace(post, text=text or None)

    async def _begin_hashtags(self, session: AsyncSession, post_id: int, post: IncomingPost) -> None:
        if post.original is not None:
            chat_id, now = post.channel_telegram_id, self._clock()
            await channel_edits.await_tags(session, post_id, chat_id, post.message_id, post.original, now)

    async def _keep(
        self,
        session: AsyncSession,
        post: IncomingPost,
        user_id: int,
        channel_id: int,
        known: StoredPost | None,
        *,
        is_edit: bool,
    ) -> ChannelPostResult:
        if known is None:
            now = self._clock()
            post_id = await rows.insert_post(session, _values(post, user_id, channel_id), now)
            return ChannelPostResult(StoreOutcome.NEW, post_id)
        if not _changes(known, post, is_edit=is_edit):
            return ChannelPostResult(StoreOutcome.KNOWN, known.id)
        await rows.set_text(session, known.id, post.text)
        return ChannelPostResult(StoreOutcome.EDITED, known.id)

    def _wake_for(self, result: ChannelPostResult) -> None:
        if result.outcome in {StoreOutcome.NEW, StoreOutcome.EDITED}:
            self._wake()


def _cleaned(post: IncomingPost) -> IncomingPost:
    username = (post.channel_username or "").lstrip("@")
    return replace(
        post,
        text=_storable(post.text),
        channel_title=storable(post.channel_title),
        channel_username=storable(username) or None,
        media_group_id=(_storable(post.media_group_id) or "")[:ALBUM_ID_LENGTH] or None,
        url=_storable(post.url),
        original=post.original if post.original and post.original.text == _storable(post.original.text) else None,
    )


def _storable(text: str | None) -> str | None:
    return None if text is None else storable(text)


def _gets_hashtags(owner: ChannelOwner, post: IncomingPost, result: ChannelPostResult, *, is_edit: bool) -> bool:
    """Whether to write tags into the message: for new posts, and posts since hashtags were switched on."""
    since = owner.hashtags_since
    if since is None or post.original is None:
        return False
    is_new = result.outcome is not StoreOutcome.KNOWN and not is_edit
    return is_new or post.posted_at >= since.replace(microsecond=0)


def _is_news(post: IncomingPost, result: ChannelPostResult, *, is_edit: bool) -> bool:
    """Whether the post is new, or the message of its album that brings the text."""
    is_new = result.outcome is StoreOutcome.NEW or (result.outcome is StoreOutcome.EDITED and not is_edit)
    return is_new and has_text(post.text)


def _changes(known: StoredPost, post: IncomingPost, *, is_edit: bool) -> bool:
    if not has_text(post.text):
        # An album's other messages have no caption. The text of a single message was deleted, or cannot be read.
        return is_edit and post.is_supported and not post.media_group_id and has_text(known.text)
    return post.text != known.text and (is_edit or not has_text(known.text))


def _values(post: IncomingPost, user_id: int, channel_id: int) -> dict[str, object]:
    return {
        "user_id": user_id,
        "channel_id": channel_id,
        "telegram_message_id": post.message_id,
        "text": post.text,
        "url": post.url,
        "posted_at": post.posted_at,
        "media_group_id": post.media_group_id,
        "tagging_status": "pending" if has_text(post.text) else "skipped",
        "failure_kind": None if has_text(post.text) or post.is_supported else UNSUPPORTED,
    }
