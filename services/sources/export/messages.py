"""The JSON of an export's chats and messages → channels and posts."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from services.sources.base import ChatKind, SourceChannel, SourcePost
from services.sources.message_text import message_text
from storage.posts.channel_posts import BOT_API_PREFIX

MAX_CHAT_ID = 10**12
#: Until 2021 exports had numbers of groups and channels with this bit above their own 32.
OLD_SHIFT = 2**33
MAX_SECONDS = 253_402_300_799
#: The type of a message in whose place the file is damaged (`damaged_json`).
DAMAGED = "damaged"
TITLES = {"saved_messages": "Saved Messages", "replies": "Replies", "verification_codes": "Verification Codes"}


KINDS = {
    "public_channel": ChatKind.CHANNEL,
    "private_channel": ChatKind.CHANNEL,
    "public_supergroup": ChatKind.GROUP,
    "private_supergroup": ChatKind.PRIVATE_GROUP,
    "private_group": ChatKind.PRIVATE_GROUP,
    "bot_chat": ChatKind.BOT,
    "saved_messages": ChatKind.SAVED,
}


def channel_of(fields: Mapping[str, Any], *, in_account: bool = False) -> SourceChannel | None:
    """The chat, with its id as the Bot API gives it; None without an id. A chat of an unknown type is personal."""
    number, kind = fields.get("id"), str(fields.get("type"))
    if type(number) is not int or not 0 < number < MAX_CHAT_ID:
        return None
    title = str(fields.get("name") or TITLES.get(kind) or f"{kind.replace('_', ' ')} {number}")
    its_kind = KINDS.get(kind, ChatKind.PERSON)
    return SourceChannel(_bot_api_id(number, kind), None, title[:255], its_kind, in_account)


def _bot_api_id(number: int, kind: str) -> int:
    is_channel = "channel" in kind or "supergroup" in kind
    if not is_channel and "group" not in kind:
        return number
    if OLD_SHIFT <= number < OLD_SHIFT + 2**32:
        number -= OLD_SHIFT
    return -BOT_API_PREFIX - number if is_channel else -number


def post_of(channel: SourceChannel, message: object) -> SourcePost | str:
    """A post, or why the message is none: 'service', 'unsupported', DAMAGED or 'unreadable'."""
    if not isinstance(message, dict):
        return "unreadable"
    if (kind := message.get("type")) in ("service", "unsupported", DAMAGED):
        return str(kind)
    number = message.get("id")
    posted_at = moment(message.get("date_unixtime"), message.get("date"))
    # Messages from before a group became a supergroup have negative numbers.
    if type(number) is not int or number == 0 or posted_at is None:
        return "unreadable"
    found = message_text(message)
    return SourcePost(
        message_id=number,
        text=found.text,
        posted_at=posted_at,
        url=_url(channel, number),
        as_of=moment(message.get("edited_unixtime"), message.get("edited")) or posted_at,
        is_supported=found.is_supported,
    )


def _url(channel: SourceChannel, number: int) -> str | None:
    own = -(channel.telegram_id or 0) - BOT_API_PREFIX
    return f"https://t.me/c/{own}/{number}" if own > 0 and number > 0 else None


def moment(seconds: object, local: object) -> datetime | None:
    """The time by its Unix seconds, else by the local time, which is taken for UTC."""
    if isinstance(seconds, str) and len(seconds) <= 12 and seconds.isdecimal():
        seconds = int(seconds)
    if type(seconds) is int and 0 < seconds <= MAX_SECONDS:
        return datetime.fromtimestamp(seconds, UTC)
    if not isinstance(local, str):
        return None
    try:
        parsed = datetime.fromisoformat(local)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
