"""Updates that a webhook received: stored before Telegram is answered, and handled afterwards."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from services.clock import Clock
from storage.db.engine import Database
from storage.posts import received_updates as rows
from storage.schema.tables import ReceivedUpdateRow

IDS = range(-(2**63), 2**63)


class BadUpdateError(ValueError):
    """The body is no JSON object with an integer `update_id` of 64 bits."""


@dataclass(frozen=True, slots=True)
class WaitingUpdate:
    """`raw`: the JSON as received; only its id if the row is unreadable."""

    update_id: int
    raw: dict[str, Any]


class ReceivedUpdates:
    """Updates from their arrival until they are handled. Any process may receive; the leader handles."""

    def __init__(self, database: Database, clock: Clock, on_stored: Callable[[], None] = lambda: None) -> None:
        """`on_stored` wakes this process's handler; the database notifies those of other processes."""
        self._database = database
        self._clock = clock
        self._on_stored = on_stored

    async def receive(self, raw: bytes) -> None:
        """Store an update, given as JSON; one that is stored already is ignored.

        Raises:
            BadUpdateError: it is no update.
            Exception: it is not stored; `is_unavailable` tells whether the database is away.
        """
        update_id, body = read(raw)
        async with self._database.write() as session:
            is_new = await rows.store(session, update_id, body, self._clock())
        if is_new:
            self._on_stored()

    async def waiting(self, *, limit: int, besides: Collection[int]) -> list[WaitingUpdate]:
        """Unhandled updates except those of these ids, the lowest ids first."""
        async with self._database.read() as session:
            found = await rows.waiting(session, limit=limit, besides=besides)
        return [WaitingUpdate(row.update_id, _decoded(row)) for row in found]

    async def mark_handled(self, update_ids: Collection[int]) -> int:
        """Returns how many were unhandled: fewer than given if another process handles them too."""
        async with self._database.write() as session:
            return await rows.mark_handled(session, update_ids, self._clock())


def read(raw: bytes) -> tuple[int, str]:
    """PURE: the update's id, and the update as ASCII JSON, in which PostgreSQL's forbidden characters are escapes.

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
