"""What /stats shows of the provider, on a bare connection (`storage.glance`): the statements of other modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from storage import budget, reads, upstream


def models(connection: Connection) -> Sequence[Row[Any]]:
    """Every model of which anything is known."""
    return connection.execute(upstream.everything()).all()


def lanes(connection: Connection) -> dict[str, Row[Any]]:
    """Every lane of which anything is known."""
    return {row.lane: row for row in connection.execute(budget.everything())}


def count_queued(connection: Connection) -> int:
    """How many posts of everybody's are in the queue."""
    count: int = connection.execute(reads.queued()).scalar_one()
    return count
