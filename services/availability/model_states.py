"""The models' states, between their rows and `services.availability.circuit_breaker`'s values."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.circuit_breaker import Aside, ModelState
from storage.queue import model_states as upstream_rows


async def load_states(session: AsyncSession) -> dict[str, ModelState]:
    return {row.model: _state(row) for row in await upstream_rows.load(session)}


def _state(row: Row[Any]) -> ModelState:
    reason = Aside(row.reason) if row.reason in set(Aside) else None
    return ModelState(
        model=row.model,
        until=row.aside_until,
        reason=reason,
        detail=row.detail,
        since=row.since,
        faults=row.faults,
        pauses=row.pauses,
        probe_until=row.probe_until,
    )


async def save_states(session: AsyncSession, changed: Sequence[ModelState]) -> None:
    await upstream_rows.save(session, [_row(state) for state in changed])


def _row(state: ModelState) -> dict[str, Any]:
    values = asdict(state)
    values["aside_until"] = values.pop("until")
    return values
