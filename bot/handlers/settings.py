"""/settings: what a person sets for themselves. Each press acts on the settings of who pressed."""

from aiogram import Bot, F, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message

from bot.handlers.replies import show
from bot.i18n import Texts
from bot.keyboards import settings as keyboards
from bot.keyboards.common import SettingsButton, SettingsPage
from bot.keyboards.settings import FailuresButton, QuietButton, TimeZoneButton
from bot.telegram.middlewares import Toast
from bot.views import settings as views
from services.accounts.people import CurrentUser
from services.accounts.preferences import Preferences, Quiet


async def command(
    message: Message, command: CommandObject, t: Texts, user: CurrentUser, preferences: Preferences
) -> None:
    if command.args and not await preferences.choose_time_zone(user, command.args):
        await message.answer(views.unknown_time_zone(t))
        return
    await message.answer(views.main(t, await preferences.get(user)), reply_markup=keyboards.main(t))


async def open_main(press: CallbackQuery, bot: Bot, t: Texts, user: CurrentUser, preferences: Preferences) -> None:
    await show(press, bot, views.main(t, await preferences.get(user)), keyboards.main(t))


async def open_time_zones(
    press: CallbackQuery, bot: Bot, t: Texts, user: CurrentUser, preferences: Preferences
) -> None:
    found = await preferences.get(user)
    await show(press, bot, views.time_zones(t, found), keyboards.time_zones(t, found))


async def choose_time_zone(
    press: CallbackQuery,
    callback_data: TimeZoneButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    preferences: Preferences,
    toast: Toast,
) -> None:
    if await preferences.choose_time_zone(user, callback_data.name):
        toast.text = t.plain("Saved")
    await open_main(press, bot, t, user, preferences)


async def open_failures(press: CallbackQuery, bot: Bot, t: Texts, user: CurrentUser, preferences: Preferences) -> None:
    await show(press, bot, views.choose_failures(t), keyboards.failures(t, await preferences.get(user)))


async def choose_failures(
    press: CallbackQuery,
    callback_data: FailuresButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    preferences: Preferences,
    toast: Toast,
) -> None:
    await preferences.choose_failures(user, callback_data.choice)
    await open_main(press, bot, t, user, preferences)
    toast.text = t.plain("Saved")


async def open_quiet(press: CallbackQuery, bot: Bot, t: Texts, user: CurrentUser, preferences: Preferences) -> None:
    await _show_quiet(press, bot, t, user, preferences, None)


async def choose_quiet(
    press: CallbackQuery,
    callback_data: QuietButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    preferences: Preferences,
    toast: Toast,
) -> None:
    start, end = callback_data.start, callback_data.end
    if start is not None and end is None:
        await _show_quiet(press, bot, t, user, preferences, start)
        return
    await preferences.choose_quiet(user, None if start is None or end is None else Quiet(start, end))
    await open_main(press, bot, t, user, preferences)
    toast.text = t.plain("Saved")


async def _show_quiet(
    press: CallbackQuery, bot: Bot, t: Texts, user: CurrentUser, preferences: Preferences, start: int | None
) -> None:
    found = await preferences.get(user)
    await show(press, bot, views.choose_quiet(t, found, start), keyboards.quiet(t, found, start))


def router() -> Router:
    made = Router(name="settings")
    made.message.register(command, Command("settings", ignore_case=True))
    pages = {
        SettingsPage.MAIN: open_main,
        SettingsPage.TIME_ZONE: open_time_zones,
        SettingsPage.FAILURES: open_failures,
        SettingsPage.QUIET: open_quiet,
    }
    for page, handler in pages.items():
        made.callback_query.register(handler, SettingsButton.filter(F.page == page))
    made.callback_query.register(choose_time_zone, TimeZoneButton.filter())
    made.callback_query.register(choose_failures, FailuresButton.filter())
    made.callback_query.register(choose_quiet, QuietButton.filter())
    return made
