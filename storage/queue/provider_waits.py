"""Posts that wait for the provider to come back."""

from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, select, update
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.index_conditions import QUEUED, WAITS
from storage.schema.tables import Post


async def provider_serves(session: AsyncSession) -> int:
    """Make posts due whose last attempt is in doubt: others are served. Posts within an attempt wait on."""
    return await _make_due(session, Post.attempt_trail.is_(None))


async def provider_is_back(session: AsyncSession) -> int:
    """Make every post due that waited for the provider; attempts in doubt are not counted."""
    return await _make_due(session, waits_for_upstream=None, after_fault=None)


async def _make_due(session: AsyncSession, *conditions: ColumnElement[bool], **cleared: None) -> int:
    waiting = select(Post.id).where(sql(QUEUED), Post.next_attempt_at.is_not(None), sql(WAITS), *conditions)
    # Skips rows that another process has locked, against deadlocks.
    due = update(Post).where(Post.id.in_(waiting.with_for_update(skip_locked=True)))
    statement = due.values(next_attempt_at=None, **cleared)
    result = await session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount
