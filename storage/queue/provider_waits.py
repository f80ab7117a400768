"""Posts that wait for the provider to come back."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import CursorResult, Select, select, update
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.index_conditions import QUEUED, WAITS
from storage.schema.tables import Post


async def provider_serves(session: AsyncSession) -> int:
    """Make posts due whose last attempt is in doubt: others are served. Posts within an attempt wait on."""
    in_doubt = _waiting_posts().where(Post.attempt_trail.is_(None))
    return await _make_due(session, in_doubt, next_attempt_at=None)


def _waiting_posts() -> Select[int]:
    """Lock the posts that wait for the provider, except those another process has locked (no deadlock)."""
    waiting = select(Post.id).where(sql(QUEUED), Post.next_attempt_at.is_not(None), sql(WAITS))
    return waiting.with_for_update(skip_locked=True)


async def _make_due(session: AsyncSession, ids: Select[int], **values: Any) -> int:
    statement = update(Post).where(Post.id.in_(ids)).values(**values)
    result = await session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount


async def provider_is_back(session: AsyncSession) -> int:
    """Make every post due that waited for the provider; attempts in doubt are not counted."""
    cleared = {"next_attempt_at": None, "waits_for_upstream": None, "after_fault": None}
    return await _make_due(session, _waiting_posts(), **cleared)
