"""The words in and below the picture under /stats."""

from babel.dates import format_date

from bot.i18n import Html, Texts
from bot.views.common import shorten
from services.charts.activity import DAYS, Activity, TagTrend
from services.charts.chart import Chart, ChartBar, ChartSeries

TAG_UNITS = 22


def chart(t: Texts, found: Activity) -> Chart:
    names = {
        "success": t.plain("tagged"),
        "pending": t.plain("waiting"),
        "failed": t.plain("failed"),
        "skipped": t.plain("skipped"),
    }
    return Chart(
        t.plain("Posts of the last {days} days", days=DAYS),
        [format_date(day, "d MMM", locale=t.language) for day in found.days],
        [ChartSeries(names[status], list(posts)) for status, posts in found.posts.items()],
        t.plain("Top tags, and the change to the {days} days before", days=DAYS),
        [ChartBar(shorten(tag.name, TAG_UNITS), tag.now, _trend(tag)) for tag in found.tags],
    )


def _trend(tag: TagTrend) -> str:
    more = tag.now - tag.before
    return f"▲ {more}" if more > 0 else f"▼ {-more}" if more else "="


def nothing(t: Texts) -> str:
    return t.plain("No posts in the last {days} days.", days=DAYS)


def not_drawn(t: Texts) -> Html:
    return t._("The picture could not be drawn. Please try again later.")
