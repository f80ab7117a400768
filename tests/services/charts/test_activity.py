"""What the picture under /stats shows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.accounts.people import CurrentUser, Role
from services.charts.activity import Activities, TagTrend
from services.charts.chart import Chart, ChartBar, ChartSeries
from services.charts.process import ChartDrawing
from storage.db.engine import Database
from tests.storage.rows import add_posts, add_user

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
ANNA = CurrentUser(1001, 1, Role.USER, "ru", told=False, time_zone="Asia/Kathmandu")
TAGGED = {"tagging_status": "success"}


async def test_posts_are_counted_by_status_on_the_days_of_the_persons_zone(database: Database) -> None:
    """In Kathmandu (UTC+5:45) a day begins at 18:15 UTC."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_user(session, 2)
        posts: list[tuple[datetime, dict[str, object]]] = [
            (datetime(2026, 3, 30, 18, 14, tzinfo=UTC), {**TAGGED, "tags": ["город", "музей"]}),
            (datetime(2026, 3, 30, 18, 15, tzinfo=UTC), {**TAGGED, "tags": ["город"]}),
            (NOW, {"tagging_status": None}),
            (NOW, {"tagging_status": "failed"}),
            (NOW - timedelta(days=40), {**TAGGED, "tags": ["город", "город", "парк"]}),
        ]
        for number, (at, values) in enumerate(posts, start=1):
            await add_posts(session, 1, 1, first=number, posted_at=at, **values)
        await add_posts(session, 2, 1, first=9, posted_at=NOW, **TAGGED, tags=["чужое"])
    found = await Activities(database, ZoneInfo("UTC"), lambda: NOW).of(ANNA)
    assert found is not None
    assert (len(found.days), found.days[-1]) == (30, date(2026, 3, 31))
    last_two = {status: posts[-2:] for status, posts in found.posts.items()}
    assert last_two == {"success": (1, 1), "pending": (0, 1), "failed": (0, 1), "skipped": (0, 0)}
    assert found.tags == (TagTrend("город", 2, 1), TagTrend("музей", 1, 0))


async def test_a_text_that_is_a_formula_or_not_of_the_font_is_drawn() -> None:
    chart = Chart("$x$ 漢字", ["1"], [ChartSeries("a", [1])] * 4, "tags", [ChartBar("$\\frac{1}$", 1, "=")])
    picture = await ChartDrawing().png(chart)
    assert picture is not None
    assert picture.startswith(b"\x89PNG")


async def test_what_cannot_be_drawn_is_logged() -> None:
    assert await ChartDrawing().png(Chart("", [], [], "", [])) is None
