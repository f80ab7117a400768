"""RETRY_CRON means what crontab(5) says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.settings import crontab_trigger


@pytest.mark.parametrize(("day", "weekday"), [("0", 6), ("1", 0), ("5", 4), ("7", 6), ("mon", 0)])
def test_days_of_the_week(day: str, weekday: int) -> None:
    """0 and 7 are Sunday, 1 is Monday."""
    moment = crontab_trigger(f"0 4 * * {day}", "UTC").get_next_fire_time(None, datetime(2026, 1, 1, tzinfo=UTC))
    assert moment is not None
    assert moment.weekday() == weekday


def test_nonsense_is_refused() -> None:
    """Four fields, or words."""
    with pytest.raises(ValueError, match="fields"):
        crontab_trigger("every day at four")
