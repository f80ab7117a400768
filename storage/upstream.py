"""What is known of the models, kept for all processes and over restarts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import UpstreamRow


async def load(session: AsyncSession) -> list[UpstreamRow]:
    """Every model of which anything is known."""
    return list((await session.execute(select(UpstreamRow))).scalars())


async def reopen(session: AsyncSession, now: datetime) -> None:
    """At a start: what a change of settings may have mended is probed at once, not when its pause ends."""
    mended = UpstreamRow.reason.in_(("account", "forbidden", "gone"))
    await session.execute(update(UpstreamRow).where(mended, UpstreamRow.aside_until > now).values(aside_until=now))


async def save(session: AsyncSession, rows: Iterable[dict[str, Any]]) -> None:
    """Insert or replace the states of models; each row has all of `metka_upstream`'s columns."""
    for row in rows:
        await session.merge(UpstreamRow(**row))
