from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Integer, cast, extract, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.tables import Post

#: The offsets of time zones are multiples of this many seconds.
QUARTER_OF_AN_HOUR = 900


@dataclass(frozen=True, slots=True)
class Published:
    """So many posts of a status, published in the quarter of an hour from `at` on."""

    at: datetime
    status: str | None
    posts: int


async def published(session: AsyncSession, user_id: int, since: datetime) -> Sequence[Published]:
    quarter = cast(extract("epoch", Post.posted_at), Integer) // QUARTER_OF_AN_HOUR
    query = (
        select(quarter, Post.tagging_status, func.count())
        .where(Post.user_id == user_id, Post.posted_at >= since, Post.gone_at.is_(None))
        .group_by(quarter, Post.tagging_status)
    )
    rows = await session.execute(query)
    return [
        Published(datetime.fromtimestamp(number * QUARTER_OF_AN_HOUR, UTC), status, posts)
        for number, status, posts in rows
    ]
