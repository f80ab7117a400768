"""PURE: a message of a channel's → what the intake stores."""

from __future__ import annotations

from datetime import UTC, datetime

from aiogram.types import Chat, Message

from services.intake import IncomingPost


def incoming_post(message: Message, channel: Chat, message_id: int, date: datetime) -> IncomingPost:
    """The post as it stands in its channel, whichever chat the message came in."""
    return IncomingPost(
        channel_telegram_id=channel.id,
        channel_title=channel.title or channel.username or str(channel.id),
        channel_username=channel.username,
        message_id=message_id,
        text=message.text or message.caption,
        posted_at=date.astimezone(UTC),
        media_group_id=message.media_group_id,
        url=post_url(channel, message_id),
    )


def post_url(channel: Chat, message_id: int) -> str:
    """The post's address; that of a private channel opens for its members."""
    if channel.username:
        return f"https://t.me/{channel.username}/{message_id}"
    return f"https://t.me/c/{str(channel.id).removeprefix('-100')}/{message_id}"
