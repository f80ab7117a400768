"""Exports as Telegram Desktop writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]

#: The number that exports have of a channel, and the one that the Bot API has.
BARE, CHANNEL = 1234567890, -1001234567890
POSTED = 1_700_000_000


def a_message(number: int, text: Any = "Some text", **more: Any) -> Json:
    """A message with its fields in Telegram Desktop's order."""
    begins = {"id": number, "type": "message", "date": "2023-11-14T22:13:20", "date_unixtime": str(POSTED)}
    entities = [{"type": "plain", "text": text}] if isinstance(text, str) and text else []
    return {**begins, "from": "News", "from_id": f"channel{BARE}", "text": text, "text_entities": entities, **more}


def a_service(number: int) -> Json:
    """A message of Telegram's own."""
    return {"id": number, "type": "service", "date": "2023-11-14T22:13:20", "action": "pin_message", "text": ""}


def a_channel(*messages: Any, **fields: Any) -> Json:
    """The export of one channel."""
    return {"name": "News", "type": "public_channel", "id": BARE, **fields, "messages": list(messages)}


def an_account(chats: list[Json], left: list[Json] | None = None) -> Json:
    """The export of a whole account."""
    return {
        "about": "Here is the data you requested.",
        "personal_information": {"user_id": 1, "first_name": "A", "bio": ""},
        "contacts": {"about": "", "list": [{"user_id": 2, "first_name": "B", "messages": [1, {"id": 1}]}]},
        "frequent_contacts": {"about": "", "list": []},
        "chats": {"about": "", "list": chats},
        "left_chats": {"about": "", "list": left or []},
    }


def write(folder: Path, export: Any, name: str = "result.json") -> Path:
    """The export in a file: JSON, or bytes as they are."""
    path = folder / name
    path.write_bytes(export if isinstance(export, bytes) else json.dumps(export, ensure_ascii=False, indent=1).encode())
    return path
