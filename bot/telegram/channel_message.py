from datetime import UTC, datetime
from typing import Any

from aiogram.types import Chat, InlineKeyboardButton, Message, MessageOriginChannel, TelegramObject

from bot.telegram.raw_update import RawUpdate
from services.hashtags.formatting import EditableMessage
from services.ingest.channel_posts import IncomingPost
from services.sources.message_text import MessageText, message_text

#: Formatting that an edit by a bot loses: most bots may use neither custom emoji nor mentions by number.
FRAGILE = {"custom_emoji", "text_mention"}


def incoming_post(message: Message, raw: RawUpdate, posted: Message | MessageOriginChannel) -> IncomingPost:
    """`posted`: the message in its channel, or from where a forwarded copy came."""
    channel, message_id = posted.chat, posted.message_id
    found = message_text(raw.message)
    return IncomingPost(
        channel_telegram_id=channel.id,
        channel_title=channel.title or channel.username or str(channel.id),
        channel_username=channel.username,
        message_id=message_id,
        text=found.text,
        posted_at=posted.date.astimezone(UTC),
        media_group_id=message.media_group_id,
        url=post_url(channel, message_id),
        original=_original(message, raw, found) if posted is message else None,
        edited_at=datetime.fromtimestamp(message.edit_date, UTC) if message.edit_date else None,
        is_supported=found.is_supported,
    )


def _original(message: Message, raw: RawUpdate, found: MessageText) -> EditableMessage | None:
    """What an edit of the message has to repeat. None without text."""
    text = message.text or message.caption
    if raw.fault is not None:
        return EditableMessage(found.text or "", obstacle="it could not be read as a whole")
    if found.text != (text or None) or not found.is_supported:
        return EditableMessage(found.text or "", obstacle="it holds more than a text or caption")
    if not text:
        return None
    entities = (message.entities if message.text else message.caption_entities) or []
    values: dict[str, Any] = {
        "link_preview_options": message.link_preview_options,
        "reply_markup": message.reply_markup,
    }
    options: dict[str, Any] = {name: _plain(value) for name, value in values.items() if value is not None}
    if message.show_caption_above_media:
        options["show_caption_above_media"] = True
    return EditableMessage(text, [_plain(each) for each in entities], not message.text, options, _obstacle(message))


def _obstacle(message: Message) -> str | None:
    """Why the message must not be edited."""
    kinds = {entity.type for entity in (*(message.entities or ()), *(message.caption_entities or ()))}
    obstacles = {
        "it is forwarded": message.forward_origin,
        "it is a rich message": message.rich_message,
        "it is a poll": message.poll,
        "it is a checklist": message.checklist,
        "it was sent by way of a bot": message.via_bot,
        "it is a paid post": message.is_paid_post,
        "it holds custom emoji or mentions that would be lost": kinds & FRAGILE,
        "its buttons are another bot's": any(not button.url for button in _buttons(message)),
    }
    return next((why for why, holds in obstacles.items() if holds), None)


def _buttons(message: Message) -> list[InlineKeyboardButton]:
    return [button for row in message.reply_markup.inline_keyboard for button in row] if message.reply_markup else []


def _plain(value: TelegramObject) -> dict[str, Any]:
    return value.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


def post_url(channel: Chat, message_id: int) -> str:
    """The link to a post of a private channel opens for members only."""
    if channel.username:
        return f"https://t.me/{channel.username}/{message_id}"
    return f"https://t.me/c/{str(channel.id).removeprefix('-100')}/{message_id}"
