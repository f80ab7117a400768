from aiogram import Bot, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message

from bot.handlers.replies import show
from bot.i18n import Html, Texts
from bot.keyboards.posts import stats as keyboards
from bot.keyboards.posts.digest import open_button
from bot.keyboards.posts.stats import RefreshStatsButton, SendNowButton
from bot.telegram.middlewares import Toast
from bot.views import errors
from bot.views.posts import stats as views
from services.accounts.people import CurrentUser
from services.clock import utc_now
from services.library.bot_queries import BotQueries
from services.library.digests import Digests
from services.tagging.service import TaggingService


async def stats(
    message: Message,
    command: CommandObject,
    t: Texts,
    user: CurrentUser,
    queries: BotQueries,
    tagging: TaggingService,
    digests: Digests,
) -> None:
    argument = (command.args or "").strip().lower()
    if argument not in {"", "all"}:
        await message.answer(views.usage_stats(t))
    elif argument and not user.is_admin:
        await message.answer(errors.admins_only(t))
    else:
        text, markup = await _render(t, user, queries, tagging, digests, everybody=bool(argument))
        await message.answer(text, reply_markup=markup)


async def refresh(
    press: CallbackQuery,
    callback_data: RefreshStatsButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    queries: BotQueries,
    tagging: TaggingService,
    digests: Digests,
    toast: Toast,
) -> None:
    if callback_data.everybody and not user.is_admin:
        toast.text = errors.admins_only(t)
        return
    text, markup = await _render(t, user, queries, tagging, digests, everybody=callback_data.everybody)
    await show(press, bot, text, markup)
    toast.text = t.plain("Up to date")


async def send_now(
    press: CallbackQuery,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    queries: BotQueries,
    tagging: TaggingService,
    digests: Digests,
    toast: Toast,
) -> None:
    toast.text = views.sent_now(t, 0 if user.user_id is None else await tagging.send_now(user.user_id))
    text, markup = await _render(t, user, queries, tagging, digests, everybody=False)
    await show(press, bot, text, markup)


async def _render(
    t: Texts, user: CurrentUser, queries: BotQueries, tagging: TaggingService, digests: Digests, *, everybody: bool
) -> tuple[Html, InlineKeyboardMarkup]:
    found = await queries.stats(None if everybody else user.user_id)
    state = await tagging.provider_state(backlog=found.waiting > 0)
    text = views.stats(t, found, state, everybody=everybody, now=utc_now(), admin=user.is_admin)
    is_gathering = bool(found.waiting) and state.next_batch_at is not None
    failed = found.by_status.get("failed", 0)
    schedule = await digests.schedule(user)
    return text, keyboards.stats(
        t, everybody=everybody, failed=failed, is_gathering=is_gathering, digest=open_button(t, schedule)
    )


def router() -> Router:
    made = Router(name="stats")
    made.message.register(stats, Command("stats", ignore_case=True))
    made.callback_query.register(refresh, RefreshStatsButton.filter())
    made.callback_query.register(send_now, SendNowButton.filter())
    return made
