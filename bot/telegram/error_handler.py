import structlog
from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramAPIError, TelegramForbiddenError
from aiogram.types import CallbackQuery, ErrorEvent

from bot.i18n import I18n
from bot.telegram.middlewares import answer_press, is_private
from bot.views import errors
from storage.db.engine import is_unavailable, unavailable_reason

log = structlog.get_logger(__name__)


async def on_error(event: ErrorEvent, bot: Bot, i18n: I18n) -> bool:
    error, update = event.exception, event.update
    if isinstance(error, TelegramForbiddenError):
        log.info("blocked_by_person", update_id=update.update_id)
        return True
    if is_unavailable(error):
        log.warning("database_unavailable", update_id=update.update_id, error=unavailable_reason(error))
    elif isinstance(error, AiogramError):
        log.warning("telegram_refused", update_id=update.update_id, error=type(error).__name__)
    else:
        log.error("handler_failed", update_id=update.update_id, exc_info=error)
    try:
        await _tell(event, bot, i18n)
    except TelegramAPIError as failure:
        log.warning("cannot_tell", update_id=update.update_id, error=type(failure).__name__)
    return True


async def _tell(event: ErrorEvent, bot: Bot, i18n: I18n) -> None:
    source = event.update.message or event.update.callback_query
    if source is None or source.from_user is None or not is_private(source):
        return
    t = i18n.texts(source.from_user.language_code)
    text = errors.unavailable(t) if is_unavailable(event.exception) else errors.went_wrong(t)
    if isinstance(source, CallbackQuery) and await answer_press(source, text):
        return
    await bot.send_message(source.from_user.id, text)
