"""Leases on claimed posts: prolonged, given back, or ended with the posts' new state. Nothing here commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import BindParameter, CursorResult, Row, Table, and_, bindparam, exists, or_, select, update
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.channels import hashtags
from storage.db.locks import locked_posts
from storage.queue.claim import ClaimedPost
from storage.schema.index_conditions import QUEUED
from storage.schema.source_tables import HashtagRow
from storage.schema.tables import OutboxRow, Post

_POSTS = cast("Table", Post.__table__)
_IS_AWAITED = exists().where(OutboxRow.post_id == _POSTS.c.id, OutboxRow.kind == "result", OutboxRow.done_at.is_(None))
_IS_HASHTAGGED = exists().where(HashtagRow.post_id == _POSTS.c.id, HashtagRow.state.in_(("waiting", "written")))
_IDS: BindParameter[int] = bindparam("ids", expanding=True)
_LOCK_ROWS = (
    select(_POSTS.c.id, _POSTS.c.lease_token, _POSTS.c.text)
    .where(_POSTS.c.id.in_(_IDS))
    .order_by(_POSTS.c.id)
    .with_for_update()
)
# A statement of its own: one that waited for a lock does not see the rows of other tables that came meanwhile.
_WAITING = select(_POSTS.c.id, _IS_AWAITED.label("is_awaited"), _IS_HASHTAGGED.label("is_hashtagged")).where(
    _POSTS.c.id.in_(_IDS), or_(_IS_AWAITED, _IS_HASHTAGGED)
)
_SETTLE = update(_POSTS).where(_POSTS.c.id == bindparam("settled_id")).values(lease_token=None, lease_expires_at=None)


@dataclass(frozen=True, slots=True)
class Settled:
    alive: frozenset[int]
    #: Posts whose result a person waits for.
    awaited: frozenset[int]
    #: Posts whose tags go into a channel.
    hashtagged: frozenset[int]
    written: frozenset[tuple[int, str]]

    def wrote(self, post: ClaimedPost) -> bool:
        return post.claim in self.written


async def renew(session: AsyncSession, posts: Sequence[ClaimedPost], until: datetime) -> None:
    for token in {post.token for post in posts}:
        ids = [post.id for post in posts if post.token == token]
        await session.execute(
            update(Post)
            .where(Post.id.in_(locked_posts(and_(Post.id.in_(ids), Post.lease_token == token))))
            .values(lease_expires_at=until)
            .execution_options(synchronize_session=False)
        )


async def release(session: AsyncSession, posts: Sequence[ClaimedPost]) -> None:
    """End the leases that we still hold; the posts stay as they are."""
    await settle(session, [(post, {}) for post in posts])


async def release_all(session: AsyncSession) -> int:
    """Void every lease: on SQLite at start, when the file lock excludes other processes."""
    result = await session.execute(
        update(Post)
        .where(sql(QUEUED), Post.lease_token.is_not(None))
        .values(lease_token=None, lease_expires_at=None)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", result).rowcount


async def settle(session: AsyncSession, settled: Sequence[tuple[ClaimedPost, dict[str, Any]]]) -> Settled:
    """Write claimed posts' new states and end their leases, unless a lease was lost or a text has changed since."""
    if not settled:
        return Settled(frozenset(), frozenset(), frozenset(), frozenset())
    locked = await session.execute(_LOCK_ROWS, {"ids": [post.id for post, _ in settled]})
    found = {row.id: row for row in locked}
    written = frozenset(post.claim for post, _ in settled if _is_ours(post, found.get(post.id)))
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for post, values in settled:
        if post.claim in written:
            alike.setdefault(tuple(values), []).append({"settled_id": post.id, **values})
    for rows in alike.values():
        # The rows' keys become columns to set.
        await session.execute(_SETTLE, rows)
    waiting = (await session.execute(_WAITING, {"ids": list(found)})).all()
    awaited = frozenset(row.id for row in waiting if row.is_awaited)
    hashtagged = frozenset(row.id for row in waiting if row.is_hashtagged)
    if hashtagged:
        await hashtags.tags_came(session, hashtagged)
    return Settled(frozenset(found), awaited, hashtagged, written)


def _is_ours(post: ClaimedPost, row: Row[Any, Any, Any] | None) -> bool:
    return row is not None and row.lease_token == post.token and row.text == post.text
