"""What /stats shows of the provider, by `storage.db.glance`: the statements of other modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from storage.db.glance import Glance
from storage.queue import limits, model_states
from storage.reads import overview


def models(glance: Glance) -> Sequence[Any]:
    """Every model of which anything is known."""
    return glance.rows(model_states.everything())


def lanes(glance: Glance) -> dict[str, Any]:
    """Every lane of which anything is known."""
    return {row.lane: row for row in glance.rows(limits.everything())}


def count_queued(glance: Glance) -> int:
    """How many posts of everybody's are in the queue."""
    count: int = glance.rows(overview.queued())[0][0]
    return count
