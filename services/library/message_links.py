"""PURE: links to a channel's message: t.me/name/5, t.me/c/123/5, also with a topic between."""

import re
from dataclasses import dataclass

#: The Bot API's prefix of channel numbers, which links leave out.
_PREFIX = -(10**12)
_LINK = re.compile(
    r"(?:https?://)?(?:www\.)?(?:t\.me|telegram\.me|telegram\.dog)/(?:s/)?"
    r"(?:c/([0-9]{1,15})|([A-Za-z][A-Za-z0-9_]{3,31}))/(?:[0-9]{1,18}/)?([0-9]{1,18})(?:[?#].*)?",
)


@dataclass(frozen=True, slots=True)
class MessageLink:
    """`channel`: a public name, or Telegram's number (-100…)."""

    channel: str | int
    message_id: int


def read_link(text: str) -> MessageLink | None:
    match = _LINK.fullmatch(text.strip())
    if match is None:
        return None
    number, name, message_id = match.groups()
    return MessageLink(_PREFIX - int(number) if number else name, int(message_id))
