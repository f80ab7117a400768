"""Deliveries of any source → posts, each stored once for its user."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zlib import crc32

from sqlalchemy.ext.asyncio import AsyncSession

from services.hashtags.formatting import without_line
from services.sources.base import Delivery, SourceChannel, SourcePost
from services.tags.text_equality import same_words
from services.text import has_text, storable
from storage.channels import hashtags
from storage.channels.identity import find_same_channel
from storage.db.locks import lock_number
from storage.posts import bulk
from storage.posts import channel_posts as rows
from storage.posts.bulk import Stored, StoredText
from storage.queue.claim import Priority
from storage.schema.tables import PERSONAL, UNSUPPORTED

#: Markdown that some programs leave in the text.
_MARKS = re.compile(r"[*_~`]+")
MAX_MESSAGE_ID, MAX_VIEWS = 2**63 - 1, 2**31 - 1


@dataclass(frozen=True, slots=True)
class StoreResult:
    """Counts of a delivery's posts.

    `gone`: deleted in the channel; `queued`: new and edited ones with text; `held`: posts that wait for consent.
    """

    channel_id: int
    new: int = 0
    known: int = 0
    edited: int = 0
    gone: int = 0
    queued: int = 0
    held: int = 0


async def store(
    session: AsyncSession,
    user_id: int,
    delivery: Delivery,
    now: datetime,
    *,
    work_class: Priority = Priority.FRESH,
    held_at: datetime | None = None,
) -> StoreResult:
    """Store a delivery's posts for a user: new ones, and texts that are newer than the stored ones.

    `held_at`: set for posts that may not be tagged before their user agrees; it identifies the question.
    Deliveries of one channel are stored one at a time, so that no post is stored twice.
    """
    channel = storable_channel(delivery.channel)
    await lock_channels(session, channel)
    if channel.telegram_id is not None:
        await _give_number(session, channel.telegram_id, channel.title, delivery)
    channel_id = await rows.channel_row(
        session, channel.telegram_id, username=channel.username, title=channel.title, now=now
    )
    return await store_in(session, user_id, channel_id, delivery, now, work_class=work_class, held_at=held_at)


async def _give_number(session: AsyncSession, number: int, title: str, delivery: Delivery) -> None:
    """Give the channel's number to a row that knows the channel by name only; an export knows only the number."""
    if not await rows.is_known(session, number):
        messages = {post.message_id: post.posted_at for post in delivery.posts}
        same = await find_same_channel(session, title, messages, besides=None, number=number)
        if same is not None:
            same.channel_id = number
            await session.flush()


async def store_in(
    session: AsyncSession,
    user_id: int,
    channel_id: int,
    delivery: Delivery,
    now: datetime,
    *,
    work_class: Priority = Priority.FRESH,
    held_at: datetime | None = None,
) -> StoreResult:
    """As `store`, for a channel whose row is known; the caller has called `lock_channels`."""
    # `lock_channels` locks a number and a name: two sources may know the channel by one of these each.
    await rows.hold_channel(session, channel_id)
    posts = await _without_hashtags(session, channel_id, _each_once(delivery.posts))
    stored = await _stored(session, user_id, channel_id, posts)
    new = [post for post in posts if post.message_id not in stored]
    known = [(post, stored[post.message_id]) for post in posts if post.message_id in stored]
    changed = [(post, older) for post, them in known if (older := [row for row in them if _is_newer(post, row)])]
    texts = [(row.id, post.text) for post, older in changed for row in older]
    back = [row.id for _, them in known for row in them if row.gone_at is not None]
    gone = await _deleted(session, user_id, channel_id, delivery) if delivery.is_whole else []
    values = [_values(post, user_id, channel_id, work_class, now, held_at) for post in new]
    await bulk.insert_posts(session, values, now)
    await bulk.lock_posts(session, {*(post_id for post_id, _ in texts), *back, *gone})
    await bulk.set_texts(session, texts, now)
    if work_class is not Priority.FRESH:
        await bulk.set_work_class(session, [post_id for post_id, _ in texts], work_class)
    queued = sum(has_text(post.text) for post in (*new, *(post for post, _ in changed)))
    held = 0
    if held_at is not None:
        unchanged = [row.id for _, them in known for row in them if row.id not in dict(texts)]
        held = queued + await bulk.hold_back(session, [post_id for post_id, _ in texts], unchanged, held_at)
    await bulk.mark_gone(session, back, None)
    await bulk.mark_gone(session, gone, now)
    return StoreResult(
        channel_id,
        new=len(new),
        known=len(known) - len(changed),
        edited=len(changed),
        gone=len(gone),
        queued=queued,
        held=held,
    )


async def lock_channels(session: AsyncSession, *channels: SourceChannel) -> None:
    """Lock channels until the transaction ends. Call it once, with all channels of the transaction."""
    names = {crc32(channel.username.lower().encode()) for channel in channels if channel.username}
    numbers = {channel.telegram_id for channel in channels if channel.telegram_id is not None}
    # In this order, so that two transactions cannot deadlock.
    for key in [*sorted(names), *sorted(numbers)]:
        await lock_number(session, key)


async def _without_hashtags(
    session: AsyncSession, channel_id: int, posts: Sequence[SourcePost]
) -> Sequence[SourcePost]:
    numbers = [number for post in posts for number in (post.message_id, *post.members)]
    found = await hashtags.appended_to(session, channel_id, numbers)
    return [_without_line(post, found) for post in posts] if found else posts


def _without_line(post: SourcePost, found: Mapping[int, tuple[str | None, str | None]]) -> SourcePost:
    lines = [line for number in (post.message_id, *post.members) for line in found.get(number, ())]
    text = without_line(post.text or "", lines)
    return post if text is None else replace(post, text=text or None)


async def _stored(session: AsyncSession, user_id: int, channel_id: int, posts: Sequence[SourcePost]) -> Stored:
    """Message number → stored posts; an album is known by any of its messages."""
    numbers = sorted({number for post in posts for number in (post.message_id, *post.members)})
    found = await bulk.stored_texts(session, user_id, channel_id, numbers)
    for post in posts:
        known = next((found[number] for number in post.members if number in found), None)
        if known is not None:
            found.setdefault(post.message_id, known)
    return found


async def _deleted(session: AsyncSession, user_id: int, channel_id: int, delivery: Delivery) -> list[int]:
    """Stored posts that a whole delivery lacks: they were deleted in the channel. They are kept and marked."""
    if not delivery.posts:
        return []
    there = {number for post in delivery.posts for number in (post.message_id, *post.members)}
    between = await bulk.stored_between(session, user_id, channel_id, min(there), max(there))
    missing = [post for number, them in between.items() if number not in there for post in them]
    return [post.id for post in missing if post.gone_at is None]


def _is_newer(post: SourcePost, known: StoredText) -> bool:
    if post.text == known.text or not has_text(post.text):
        # A stored text is kept: previews may omit it, and tags are never lost.
        return False
    if not has_text(known.text):
        return True
    if known.text_key is None and _plain(post.text or "") == _plain(known.text or ""):
        # The same text with another program's markup needs no new tags.
        return False
    if post.as_of is None:
        return True
    return known.parsed_at is not None and post.as_of > known.parsed_at


def _plain(text: str) -> str:
    return same_words(_MARKS.sub(" ", text))


def _each_once(posts: Sequence[SourcePost]) -> list[SourcePost]:
    """The posts that databases accept; of several with the same number the last."""
    return [_storable_post(post) for post in {post.message_id: post for post in posts}.values()]


def storable_channel(channel: SourceChannel) -> SourceChannel:
    """PURE: the channel with names that databases accept, and without @."""
    username = storable(channel.username or "").lstrip("@")
    return replace(channel, username=username or None, title=storable(channel.title))


def _storable_post(post: SourcePost) -> SourcePost:
    return replace(
        post,
        text=storable(post.text) if post.text is not None else None,
        url=storable(post.url) if post.url is not None else None,
        views=None if post.views is None else min(max(post.views, 0), MAX_VIEWS),
    )


def _values(
    post: SourcePost, user_id: int, channel_id: int, work_class: Priority, now: datetime, held_at: datetime | None
) -> dict[str, Any]:
    is_held = held_at is not None and has_text(post.text)
    return {
        "user_id": user_id,
        "channel_id": channel_id,
        "telegram_message_id": post.message_id,
        "text": post.text,
        "views": post.views,
        "url": post.url,
        "posted_at": post.posted_at,
        "parsed_at": now,
        "media_group_id": post.media_group_id,
        "tagging_status": "pending" if has_text(post.text) and not is_held else "skipped",
        "failure_kind": PERSONAL if is_held else None if has_text(post.text) or post.is_supported else UNSUPPORTED,
        "skipped_at": held_at if is_held else None,
        "work_class": work_class,
    }
