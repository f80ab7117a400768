"""Groups: the bot only says that it works in private chats."""

from aiogram import Bot, Router
from aiogram.types import CallbackQuery, Message, TelegramObject

from bot.i18n import I18n
from bot.telegram.middlewares import Toast, is_private
from bot.views import errors


async def message(message: Message, bot: Bot, i18n: I18n) -> None:
    me = (await bot.me()).username or ""
    if message.from_user is not None and is_addressed(message.text or message.caption or "", me):
        text = errors.private_only(i18n.texts(message.from_user.language_code))
        # Other bots may have deleted the command.
        to = message.as_reply_parameters(allow_sending_without_reply=True)
        await message.answer(text, reply_parameters=to)


async def press(press: CallbackQuery, i18n: I18n, toast: Toast) -> None:
    toast.text = errors.private_only(i18n.texts(press.from_user.language_code))


async def is_not_private(event: TelegramObject) -> bool:
    """True also for kinds of chats that Telegram adds later."""
    return not is_private(event)


def is_addressed(text: str, username: str) -> bool:
    words = text.lower().split()
    ours = f"@{username.lower()}"
    if words and words[0].startswith("/") and len(words[0]) > 1:
        return "@" not in words[0] or words[0].endswith(ours)
    return any(word.strip(".,:;!?()") == ours for word in words)


def router() -> Router:
    made = Router(name="groups")
    made.message.register(message, is_not_private)
    made.callback_query.register(press, is_not_private)
    return made
