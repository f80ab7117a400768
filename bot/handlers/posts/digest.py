"""The digest's settings, opened under /stats and under each digest."""

from aiogram import Bot, F, Router
from aiogram.types import CallbackQuery

from bot.handlers.replies import show
from bot.i18n import Texts
from bot.keyboards.posts import digest as keyboards
from bot.keyboards.posts.digest import DigestAction, DigestButton, DigestHourButton
from bot.views.posts import digest as views
from services.accounts.people import CurrentUser
from services.library.digest_schedule import Every, Schedule
from services.library.digests import Digests


async def open_settings(press: CallbackQuery, bot: Bot, t: Texts, user: CurrentUser, digests: Digests) -> None:
    await _show(press, bot, t, await digests.switch_on(user), here=False)


async def choose_every(
    press: CallbackQuery, callback_data: DigestButton, bot: Bot, t: Texts, user: CurrentUser, digests: Digests
) -> None:
    await _show(press, bot, t, await digests.choose(user, Every(callback_data.action.value)))


async def show_hours(press: CallbackQuery, bot: Bot, t: Texts) -> None:
    await show(press, bot, views.hours(t), keyboards.hours())


async def choose_hour(
    press: CallbackQuery, callback_data: DigestHourButton, bot: Bot, t: Texts, user: CurrentUser, digests: Digests
) -> None:
    await _show(press, bot, t, await digests.choose(user, hour=callback_data.hour))


async def switch_off(press: CallbackQuery, bot: Bot, t: Texts, user: CurrentUser, digests: Digests) -> None:
    await digests.switch_off(user)
    await _show(press, bot, t, None)


async def _show(press: CallbackQuery, bot: Bot, t: Texts, schedule: Schedule | None, *, here: bool = True) -> None:
    await show(press, bot, views.settings(t, schedule), keyboards.settings(t, schedule), here=here)


def router() -> Router:
    made = Router(name="digest")
    action = F.action
    made.callback_query.register(open_settings, DigestButton.filter(action == DigestAction.OPEN))
    made.callback_query.register(
        choose_every, DigestButton.filter(action.in_({DigestAction.DAILY, DigestAction.WEEKLY}))
    )
    made.callback_query.register(show_hours, DigestButton.filter(action == DigestAction.HOURS))
    made.callback_query.register(switch_off, DigestButton.filter(action == DigestAction.OFF))
    made.callback_query.register(choose_hour, DigestHourButton.filter())
    return made
