"""What people did to posts' tags."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.upsert import upsert
from storage.schema.tables import Post
from storage.schema.tag_tables import HandMadeTag


async def changes(session: AsyncSession, post_ids: Collection[int]) -> dict[int, list[HandMadeTag]]:
    """Post → its tags that a person added or took off, in order."""
    found: dict[int, list[HandMadeTag]] = {}
    query = select(HandMadeTag).where(HandMadeTag.post_id.in_(sorted(post_ids)))
    for row in (await session.execute(query.order_by(HandMadeTag.changed_at, HandMadeTag.key))).scalars():
        found.setdefault(row.post_id, []).append(row)
    return found


async def lock_post(session: AsyncSession, user_id: int, post_id: int) -> Post | None:
    query = select(Post).where(Post.id == post_id, Post.user_id == user_id).with_for_update()
    return (await session.execute(query)).scalar_one_or_none()


async def remember(
    session: AsyncSession, post_id: int, added: Mapping[str, str], taken_off: Mapping[str, str], now: datetime
) -> None:
    """Key → name of what a person added to the post and took off it."""
    rows = [
        {"post_id": post_id, "key": key, "name": name, "is_added": is_added, "changed_at": now}
        for names, is_added in ((added, True), (taken_off, False))
        for key, name in names.items()
    ]
    if rows:
        statement = upsert(session, HandMadeTag).values(rows)
        values = {name: statement.excluded[name] for name in ("name", "is_added", "changed_at")}
        await session.execute(statement.on_conflict_do_update(index_elements=["post_id", "key"], set_=values))


async def forget(session: AsyncSession, post_id: int, keys: Sequence[str]) -> None:
    await session.execute(delete(HandMadeTag).where(HandMadeTag.post_id == post_id, HandMadeTag.key.in_(keys)))
