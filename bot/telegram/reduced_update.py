"""PURE: an update that aiogram refuses → the fields that the handlers need, which it accepts.

aiogram refuses a whole update for one field: a right that an older server does not send, a new kind of media.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aiogram.types import (
    ChatMemberAdministrator,
    ChatMemberBanned,
    ChatMemberLeft,
    ChatMemberMember,
    ChatMemberOwner,
    ChatMemberRestricted,
    TelegramObject,
)

Json = dict[str, Any]

MESSAGE = {"message_id": int, "date": int, "edit_date": int, "media_group_id": str, "text": str, "caption": str}
CHAT = {"id": int, "type": str, "title": str, "username": str, "first_name": str, "last_name": str}
USER = {"id": int, "is_bot": bool, "first_name": str, "last_name": str, "username": str, "language_code": str}
FILE = {"file_id": str, "file_unique_id": str, "file_name": str, "mime_type": str, "file_size": int}
PRESS = {"id": str, "chat_instance": str, "data": str, "inline_message_id": str, "game_short_name": str}
ORIGIN = {"type": str, "date": int, "message_id": int, "author_signature": str}

MEMBERS: dict[str, type[TelegramObject]] = {
    "creator": ChatMemberOwner,
    "administrator": ChatMemberAdministrator,
    "member": ChatMemberMember,
    "restricted": ChatMemberRestricted,
    "left": ChatMemberLeft,
    "kicked": ChatMemberBanned,
}


def reduced(update: Mapping[str, Any]) -> Json:
    kinds: dict[str, Callable[[Json], Json]] = {
        "message": reduced_message,
        "channel_post": reduced_message,
        "edited_channel_post": reduced_message,
        "callback_query": _press,
        "my_chat_member": _membership,
    }
    read = {kind: make(update[kind]) for kind, make in kinds.items() if isinstance(update.get(kind), dict)}
    return {"update_id": update.get("update_id"), **read}


def reduced_message(raw: Json) -> Json:
    parts = {"chat": _chat, "from": _user, "sender_chat": _chat, "forward_origin": _origin, "document": _file}
    return {**_typed(raw, MESSAGE), **_parts(raw, parts)}


def _press(raw: Json) -> Json:
    return {"chat_instance": "", **_typed(raw, PRESS), **_parts(raw, {"from": _user, "message": reduced_message})}


def _membership(raw: Json) -> Json:
    parts = {"chat": _chat, "from": _user, "old_chat_member": _member, "new_chat_member": _member}
    return {**_typed(raw, {"date": int}), **_parts(raw, parts)}


def _chat(raw: Json) -> Json:
    return _typed(raw, CHAT)


def _user(raw: Json) -> Json:
    return {"is_bot": False, "first_name": "", **_typed(raw, USER)}


def _file(raw: Json) -> Json | None:
    file = _typed(raw, FILE)
    return file if {"file_id", "file_unique_id"} <= file.keys() else None


def _origin(raw: Json) -> Json | None:
    """Only a channel's: a message from elsewhere is no post."""
    origin = {**_typed(raw, ORIGIN), **_parts(raw, {"chat": _chat})}
    return origin if origin.get("type") == "channel" and {"date", "message_id", "chat"} <= origin.keys() else None


def _member(raw: Json) -> Json | None:
    """A right that is missing is not given."""
    model = MEMBERS.get(str(raw.get("status")))
    if model is None:
        return None
    fields = {name: field for name, field in model.model_fields.items() if name not in {"status", "user"}}
    rights: Json = {name: 0 if name == "until_date" else False for name, field in fields.items() if field.is_required()}
    given = {name: raw[name] for name in fields if type(raw.get(name)) is bool}
    return {"status": raw["status"], **_parts(raw, {"user": _user}), **rights, **given}


def _typed(raw: Json, types: Mapping[str, type]) -> Json:
    return {name: raw[name] for name, kind in types.items() if type(raw.get(name)) is kind}


def _parts(raw: Json, parts: Mapping[str, Callable[[Json], Json | None]]) -> Json:
    read = {name: make(raw[name]) for name, make in parts.items() if isinstance(raw.get(name), dict)}
    return {name: part for name, part in read.items() if part is not None}
