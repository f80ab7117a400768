"""/retry, Retry all and Stop. `bot.delivery.retry_progress` shows the progress."""

from aiogram import Bot, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message

from bot.delivery.retry_progress import ProgressMessages
from bot.handlers.arguments import parse_retry
from bot.handlers.replies import chat_of, show
from bot.i18n import Html, Texts
from bot.keyboards.posts import retry_run as keyboards
from bot.keyboards.posts.retry_run import RetryAllButton, StopRetryButton
from bot.telegram.middlewares import Toast
from bot.views import errors
from bot.views.posts import retry_run as views
from services.accounts.people import CurrentUser
from services.tagging.service import LIMITS, RetryReceipt, TaggingService


async def retry(
    message: Message,
    command: CommandObject,
    t: Texts,
    user: CurrentUser,
    tagging: TaggingService,
    progress: ProgressMessages,
) -> None:
    wanted = parse_retry(command.args)
    if wanted is None:
        await message.answer(views.usage_retry(t, admin=user.is_admin))
        return
    if wanted.force and not user.is_admin:
        await message.answer(errors.admins_only(t))
        return
    receipt = await tagging.retry_failed_posts(
        user_id=None if wanted.everybody else user.user_id,
        limit=wanted.limit,
        force=wanted.force,
        by_telegram_id=user.telegram_id,
    )
    text, markup = _answer(t, receipt, enabled=tagging.enabled, everybody=wanted.everybody)
    sent = await message.answer(text, reply_markup=markup)
    await progress.follow(receipt.batch_id, message.chat.id, sent.message_id)


async def retry_all(
    press: CallbackQuery,
    callback_data: RetryAllButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    tagging: TaggingService,
    progress: ProgressMessages,
) -> None:
    receipt = await tagging.retry_failed_posts(
        user_id=user.user_id, limit=LIMITS.stop - 1, by_telegram_id=user.telegram_id
    )
    text, markup = _answer(t, receipt, enabled=tagging.enabled)
    message_id = await show(press, bot, text, markup, here=callback_data.here)
    await progress.follow(receipt.batch_id, chat_of(press), message_id)


def _answer(
    t: Texts, receipt: RetryReceipt, *, enabled: bool, everybody: bool = False
) -> tuple[Html, InlineKeyboardMarkup | None]:
    if not receipt.queued:
        return (views.nothing_to_retry_of_anybody(t) if everybody else views.nothing_to_retry(t)), None
    text = views.retry_started(t, receipt.queued, enabled=enabled)
    return text, keyboards.stop(t, receipt.batch_id) if receipt.batch_id is not None and enabled else None


async def stop(
    press: CallbackQuery,
    callback_data: StopRetryButton,
    t: Texts,
    user: CurrentUser,
    tagging: TaggingService,
    progress: ProgressMessages,
    toast: Toast,
) -> None:
    count = await tagging.stop_retry(callback_data.run, user.telegram_id)
    toast.text = t.plain("That is not your /retry.") if count is None else views.stopped(t, count)
    progress.wake()


def router() -> Router:
    made = Router(name="retry")
    made.message.register(retry, Command("retry", ignore_case=True))
    made.callback_query.register(retry_all, RetryAllButton.filter())
    made.callback_query.register(stop, StopRetryButton.filter())
    return made
