"""The inbox: an update that a webhook brought is stored before Telegram is answered, and handled after that."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from services.clock import Clock
from storage.db.engine import Database
from storage.posts import received_updates
from storage.schema.tables import ReceivedUpdateRow

#: Telegram's update_id, as the database can hold it.
IDS = range(-(2**63), 2**63)


class BadUpdateError(ValueError):
    """What came is no update: no JSON object with an integer `update_id` of 64 bits."""


@dataclass(frozen=True, slots=True)
class WaitingUpdate:
    """An update that nobody has handled yet. `raw`: as it came; of a row that cannot be read no more than the id."""

    update_id: int
    raw: dict[str, Any]


class Inbox:
    """Updates from their arrival until they are handled; any process may receive, the leader handles."""

    def __init__(self, database: Database, clock: Clock, on_stored: Callable[[], None] = lambda: None) -> None:
        """`on_stored` reaches the reader of this process; those of others are notified by the database."""
        self._database = database
        self._clock = clock
        self._on_stored = on_stored

    async def receive(self, raw: bytes) -> None:
        """Store an update, as JSON. One that came before is no second one.

        Raises:
            BadUpdateError: it is none.
            Exception: it is not stored; if `is_unavailable`, because the database is away.
        """
        update_id, body = read(raw)
        async with self._database.write() as session:
            is_new = await received_updates.store(session, update_id, body, self._clock())
        if is_new:
            self._on_stored()

    async def waiting(self, *, limit: int, besides: Collection[int]) -> list[WaitingUpdate]:
        """What nobody has handled, other than these; the lowest ids first."""
        async with self._database.read() as session:
            rows = await received_updates.waiting(session, limit=limit, besides=besides)
        return [WaitingUpdate(row.update_id, _decoded(row)) for row in rows]

    async def mark_handled(self, update_ids: Collection[int]) -> int:
        """These are handled; returns how many were not so before: fewer than given when others handle them, too."""
        async with self._database.write() as session:
            return await received_updates.mark_handled(session, update_ids, self._clock())


def read(raw: bytes) -> tuple[int, str]:
    """PURE: the update's id, and the update as JSON of ASCII only.

    What PostgreSQL refuses in a text (NUL, halves of surrogate pairs) is in it only as an escape.

    Raises:
        BadUpdateError: it is no update.
    """
    try:
        update = json.loads(raw)
        body = json.dumps(update, ensure_ascii=True, separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        raise BadUpdateError(f"no JSON ({type(error).__name__})") from None
    update_id = update.get("update_id") if isinstance(update, dict) else None
    if type(update_id) is not int or update_id not in IDS:
        raise BadUpdateError("no integer update_id of 64 bits")
    return update_id, body


def _decoded(row: ReceivedUpdateRow) -> dict[str, Any]:
    try:
        raw = json.loads(row.body or "")
    except (ValueError, RecursionError):
        raw = None
    return raw if isinstance(raw, dict) else {"update_id": row.update_id}
