"""What /stats shows of the provider, in statements that are built once: see `storage.glance`."""

from __future__ import annotations

from sqlalchemy import Connection, func, select
from sqlalchemy import text as sql

from storage.models import QUEUED, BudgetRow, Post, UpstreamRow


class ProviderReads:
    """The statements, on what all processes share."""

    def __init__(self) -> None:
        self._models = select(UpstreamRow.__table__)
        self._lanes = select(BudgetRow.__table__)
        self._queued = select(func.count()).select_from(Post.__table__).where(sql(QUEUED))

    def models(self, connection: Connection) -> list[UpstreamRow]:
        """Every model of which anything is known."""
        return [UpstreamRow(**row) for row in connection.execute(self._models).mappings()]

    def lanes(self, connection: Connection) -> dict[str, BudgetRow]:
        """Every lane of which anything is known."""
        return {row["lane"]: BudgetRow(**row) for row in connection.execute(self._lanes).mappings()}

    def count_queued(self, connection: Connection) -> int:
        """How many posts of everybody's are in the queue; from a partial index of its size."""
        return connection.execute(self._queued).scalar_one()
