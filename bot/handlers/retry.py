"""/retry, 'Retry all' and Stop. The progress itself is `bot.delivery.retry_progress`'s."""

from __future__ import annotations

from aiogram import Bot, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message

from bot import keyboards
from bot.delivery.retry_progress import ProgressMessages
from bot.handlers.arguments import parse_retry
from bot.handlers.replies import chat_of, show
from bot.i18n import Html, Texts
from bot.keyboards import Retry, StopRetry
from bot.telegram.middlewares import Toast
from bot.views import help as help_views
from bot.views import stats as views
from services.accounts.people import Caller
from services.tagging.service import LIMITS, RetryReceipt, TaggingService


async def retry(
    message: Message,
    command: CommandObject,
    t: Texts,
    caller: Caller,
    tagging: TaggingService,
    progress: ProgressMessages,
) -> None:
    """Queue what lacks tags; the answer then shows the progress."""
    wanted = parse_retry(command.args)
    if wanted is None:
        await message.answer(help_views.usage_retry(t, admin=caller.is_admin))
        return
    if wanted.force and not caller.is_admin:
        await message.answer(help_views.admins_only(t))
        return
    receipt = await tagging.retry_failed_posts(
        user_id=None if wanted.everybody else caller.user_id,
        limit=wanted.limit,
        force=wanted.force,
        by_telegram_id=caller.telegram_id,
    )
    text, markup = _answer(t, receipt, enabled=tagging.enabled, everybody=wanted.everybody)
    sent = await message.answer(text, reply_markup=markup)
    await progress.follow(receipt.batch_id, message.chat.id, sent.message_id)


async def retry_all(
    press: CallbackQuery,
    callback_data: Retry,
    bot: Bot,
    t: Texts,
    caller: Caller,
    tagging: TaggingService,
    progress: ProgressMessages,
) -> None:
    """The same by a button, for all of one's failed posts."""
    receipt = await tagging.retry_failed_posts(
        user_id=caller.user_id, limit=LIMITS.stop - 1, by_telegram_id=caller.telegram_id
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
    follows = receipt.batch_id is not None and enabled
    return text, keyboards.stop(t, receipt.batch_id) if receipt.batch_id is not None and follows else None


async def stop(
    press: CallbackQuery,
    callback_data: StopRetry,
    t: Texts,
    caller: Caller,
    tagging: TaggingService,
    progress: ProgressMessages,
    toast: Toast,
) -> None:
    """Take the rest out of the queue; the message's last state follows from the database."""
    count = await tagging.stop_retry(callback_data.batch, caller.telegram_id)
    toast.text = t.plain("That is not your /retry.") if count is None else views.stopped(t, count)
    progress.wake()


def router() -> Router:
    """This topic's handlers."""
    made = Router(name="retry")
    made.message.register(retry, Command("retry", ignore_case=True))
    made.callback_query.register(retry_all, Retry.filter())
    made.callback_query.register(stop, StopRetry.filter())
    return made
