from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from bot.i18n import Texts
from bot.keyboards.common import Rows, button
from bot.keyboards.posts.posts import FailedPageButton
from bot.keyboards.posts.retry_run import RetryAllButton


class RefreshStatsButton(CallbackData, prefix="stats"):
    everybody: bool


class SendNowButton(CallbackData, prefix="send"):
    pass


class ChartButton(CallbackData, prefix="chart"):
    pass


def stats(
    t: Texts, *, everybody: bool, failed: int, is_gathering: bool, digest: InlineKeyboardButton
) -> InlineKeyboardMarkup:
    """The buttons that act on posts act on the user's own, so /stats all does not have them."""
    rows: Rows = [[button(t.plain("🔄 Refresh"), RefreshStatsButton(everybody=everybody))]]
    if is_gathering and not everybody:
        rows.append([button(t.plain("▶️ Send now"), SendNowButton())])
    if failed and not everybody:
        rows.append(
            [
                button(t.plain("🔁 Retry failed"), RetryAllButton(here=False)),
                button(t.plain("❌ Show failed"), FailedPageButton(page=1, here=False)),
            ]
        )
    if not everybody:
        rows.append([button(t.plain("📈 Chart"), ChartButton()), digest])
    return InlineKeyboardMarkup(inline_keyboard=rows)
