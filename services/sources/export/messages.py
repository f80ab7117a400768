"""PURE: the fields of an export's chats and messages → channels and posts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from services.sources.base import SourceChannel, SourcePost

#: Numbers of chats that Telegram gives, with room: a greater one is none.
MAX_CHAT_ID = 10**12
MAX_MESSAGE_ID = 2**63 - 1
#: Until 2021 exports had groups' and channels' numbers with this bit above the 32 of their own.
OLD_SHIFT = 2**33
#: What the Bot API puts before a channel's or supergroup's number.
BOT_API_PREFIX = 10**12
#: The last second of the year 9999.
MAX_SECONDS = 253_402_300_799
#: Chats without a name of their own.
NAMELESS = {"saved_messages": "Saved Messages", "replies": "Replies", "verification_codes": "Verification Codes"}


def channel_of(fields: Mapping[str, Any]) -> SourceChannel | None:
    """The chat, with its number as the Bot API gives it; None without a number."""
    number, kind = fields.get("id"), str(fields.get("type"))
    if type(number) is not int or not 0 < number < MAX_CHAT_ID:
        return None
    title = str(fields.get("name") or NAMELESS.get(kind) or f"{kind.replace('_', ' ')} {number}")
    return SourceChannel(_bot_api_id(number, kind), None, title[:255])


def _bot_api_id(number: int, kind: str) -> int:
    is_channel = "channel" in kind or "supergroup" in kind
    if not is_channel and "group" not in kind:
        return number
    if OLD_SHIFT <= number < OLD_SHIFT + 2**32:
        number -= OLD_SHIFT
    return -BOT_API_PREFIX - number if is_channel else -number


def post_of(channel: SourceChannel, fields: Mapping[str, Any], text: str | None) -> SourcePost | str:
    """A post, or why it is none: 'service' or 'unreadable'."""
    if fields.get("type") == "service":
        return "service"
    number = fields.get("id")
    posted_at = moment(fields.get("date_unixtime"), fields.get("date"))
    # What a supergroup's members wrote when it was still a group has negative numbers.
    if type(number) is not int or number == 0 or abs(number) > MAX_MESSAGE_ID or posted_at is None:
        return "unreadable"
    return SourcePost(
        message_id=number,
        text=text,
        posted_at=posted_at,
        url=_url(channel, number),
        as_of=moment(fields.get("edited_unixtime"), fields.get("edited")) or posted_at,
    )


def _url(channel: SourceChannel, number: int) -> str | None:
    """The address that opens for members; only channels and supergroups have one."""
    own = -(channel.telegram_id or 0) - BOT_API_PREFIX
    return f"https://t.me/c/{own}/{number}" if own > 0 and number > 0 else None


def moment(seconds: object, local: object) -> datetime | None:
    """By the seconds since 1970, else by the local time, which is taken for UTC."""
    if isinstance(seconds, str) and len(seconds) <= 12 and seconds.isdecimal():
        seconds = int(seconds)
    if type(seconds) is int and 0 < seconds <= MAX_SECONDS:
        return datetime.fromtimestamp(seconds, UTC)
    if not isinstance(local, str) or len(local) > 40:
        return None
    try:
        parsed = datetime.fromisoformat(local)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
