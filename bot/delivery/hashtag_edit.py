from datetime import UTC, datetime
from typing import Any

from aiogram import Bot
from aiogram.enums import ChatMemberStatus
from aiogram.exceptions import TelegramAPIError, TelegramBadRequest, TelegramForbiddenError
from aiogram.methods import TelegramMethod
from aiogram.types import (
    ChatMemberAdministrator,
    ChatMemberUpdated,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    Message,
    MessageEntity,
)

from services.hashtags.service import MessageEdit

#: How Telegram says that the bot may not edit in a channel, other than by 403.
RIGHTS = ("not enough rights", "chat_admin_required", "administrator rights", "chat not found", "have no rights")
GONE = ("message to edit not found", "message_id_invalid")


class GetRawChatMember(TelegramMethod[dict[str, Any]]):
    """getChatMember without validation: aiogram refuses a member without rights that an older server does not know."""

    __returning__ = dict[str, Any]
    __api_method__ = "getChatMember"

    chat_id: int
    user_id: int


async def edit_message(bot: Bot, edit: MessageEdit) -> datetime | None:
    """Returns Telegram's time of the edit; None if the text stood there already. Raises TelegramAPIError."""
    call = _edit_caption if edit.original.is_caption else _edit_text
    try:
        message = await call(bot, edit)
    except TelegramBadRequest as error:
        if "not modified" in error.message:
            return None
        raise
    edited_at = message.edit_date if isinstance(message, Message) else None
    return datetime.fromtimestamp(edited_at, UTC) if edited_at else None


async def _edit_text(bot: Bot, edit: MessageEdit) -> Message | bool:
    options = edit.original.options
    preview = options.get("link_preview_options") or {"is_disabled": False}
    return await bot.edit_message_text(
        edit.text,
        chat_id=edit.chat_id,
        message_id=edit.message_id,
        entities=_entities(edit),
        parse_mode=None,
        link_preview_options=LinkPreviewOptions.model_validate(preview),
        reply_markup=_markup(options),
    )


async def _edit_caption(bot: Bot, edit: MessageEdit) -> Message | bool:
    options = edit.original.options
    return await bot.edit_message_caption(
        chat_id=edit.chat_id,
        message_id=edit.message_id,
        caption=edit.text,
        caption_entities=_entities(edit),
        parse_mode=None,
        show_caption_above_media=options.get("show_caption_above_media"),
        reply_markup=_markup(options),
    )


def is_gone(error: TelegramAPIError) -> bool:
    return any(sign in error.message.lower() for sign in GONE)


async def is_without_rights(bot: Bot, chat_id: int, error: TelegramAPIError) -> bool:
    """Whether Telegram refused the channel rather than the message. Raises TelegramAPIError."""
    words = error.message.lower()
    if isinstance(error, TelegramForbiddenError) or any(sign in words for sign in RIGHTS):
        return True
    # Telegram says this of a message that nobody may edit, and also to a bot without the right.
    return "can't be edited" in words and not await may_edit(bot, chat_id)


async def may_edit(bot: Bot, chat_id: int) -> bool:
    """Raises TelegramAPIError if Telegram cannot be asked now."""
    try:
        member = await bot(GetRawChatMember(chat_id=chat_id, user_id=bot.id))
    except (TelegramBadRequest, TelegramForbiddenError):
        return False
    return member.get("status") == ChatMemberStatus.ADMINISTRATOR and bool(member.get("can_edit_messages"))


def can_edit(event: ChatMemberUpdated) -> bool:
    member = event.new_chat_member
    return isinstance(member, ChatMemberAdministrator) and bool(member.can_edit_messages)


def _entities(edit: MessageEdit) -> list[MessageEntity]:
    return [MessageEntity.model_validate(entity) for entity in edit.original.entities]


def _markup(options: dict[str, Any]) -> InlineKeyboardMarkup | None:
    markup = options.get("reply_markup")
    return InlineKeyboardMarkup.model_validate(markup) if markup else None
