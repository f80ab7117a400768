"""Questions whose answer is a reply to the bot's message, and changes of tags that are refused."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import Bot
from aiogram.filters import BaseFilter
from aiogram.types import Message, TelegramObject

from bot.views.tags import tags as views
from services.tags.errors import TagError


class AnswerTo(BaseFilter):
    """A reply to a question that begins with this sign. The handler gets what it was about as `subject`.

    The bot keeps no state: the question itself says it, and the use case checks whose it is.
    """

    def __init__(self, sign: str) -> None:
        self._sign = sign

    async def __call__(self, message: Message, bot: Bot) -> bool | dict[str, Any]:
        question = message.reply_to_message
        if question is None or question.from_user is None or question.from_user.id != bot.id or not message.text:
            return False
        subject = views.subject_of(question.text or "", self._sign)
        return {"subject": subject} if subject else False


async def tell_problem(
    handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]], event: TelegramObject, data: dict[str, Any]
) -> Any:
    """A middleware: says in one sentence why a change of tags is refused."""
    try:
        return await handler(event, data)
    except TagError as error:
        said = views.problem(data["t"], error.problem)
        if isinstance(event, Message):
            return await event.answer(said)
        data["toast"].text = said
