"""The Bot API's methods as functions of the world and the parameters; METHODS maps their names."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from sandbox.telegram import checks, inline
from sandbox.telegram.errors import ApiError, bad_request
from sandbox.telegram.params import Upload, chat_of, decoded, flag, integer
from sandbox.telegram.world import Chat, PressAnswer, StoredMessage, World

Json = dict[str, Any]
Method = Callable[[World, Json], Any]

NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a "
    "current content and reply markup of the message"
)
#: Largest file that Telegram lets bots download.
DOWNLOAD_LIMIT = 20 * 2**20
TOO_OLD = "query is too old and response timeout expired or query ID is invalid"


def get_me(world: World, params: Json) -> Json:
    return {
        **world.bot_user(),
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": True,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


def send_message(world: World, params: Json) -> Json:
    chat = world.writable(chat_of(params))
    text, marks = checks.text_and_entities(params)
    reply_markup = checks.markup(params)
    replied = _replied(world, chat, params)
    _count(world, chat)
    data = _new_message(world, chat) | {"text": text}
    if replied is not None:
        data["reply_to_message"] = replied
    if marks:
        data["entities"] = marks
    return _send(world, chat, data, reply_markup, params)


def send_document(world: World, params: Json) -> Json:
    chat = world.writable(chat_of(params))
    upload = _upload(params, "document")
    caption, marks = checks.caption_and_entities(params)
    reply_markup = checks.markup(params)
    _count(world, chat)
    data = _new_message(world, chat)
    file_id = f"file{data['message_id']}"
    world.files[file_id] = upload.data
    data["document"] = {
        "file_id": file_id,
        "file_unique_id": file_id,
        "file_name": upload.name,
        "file_size": len(upload.data),
    }
    if caption:
        data |= {"caption": caption, "caption_entities": marks}
    return _send(world, chat, data, reply_markup, params)


def _new_message(world: World, chat: Chat) -> Json:
    message: Json = {
        "message_id": world.next_message_id(chat),
        "date": int(time.time()),
        "chat": chat.shown(),
    }
    if chat.type == "channel":
        return message | {"sender_chat": chat.shown(), "x_by_bot": True}
    return message | {"from": world.bot_user()}


def _send(world: World, chat: Chat, data: Json, reply_markup: Json | None, params: Json) -> Json:
    if reply_markup and "inline_keyboard" in reply_markup:
        data["reply_markup"] = reply_markup
    if flag(params, "disable_notification"):
        data["x_silent"] = True
    world.put(chat, data)
    return _visible(data)


def _visible(data: Json, without: Sequence[str] = ()) -> Json:
    return {name: value for name, value in data.items() if not name.startswith("x_") and name not in without}


def _count(world: World, chat: Chat) -> None:
    world.flood.check(chat.id, group=chat.type in {"group", "supergroup"})


def _replied(world: World, chat: Chat, params: Json) -> Json | None:
    """The message replied to; messages show only one level of replies."""
    wanted = decoded(params, "reply_parameters") or {}
    message_id = wanted.get("message_id") or params.get("reply_to_message_id")
    if message_id is None:
        return None
    stored = world.message(chat.id, int(message_id))
    if stored is None and not wanted.get("allow_sending_without_reply"):
        raise bad_request("message to be replied not found")
    return None if stored is None else _visible(stored.data, without=("reply_to_message",))


def send_photo(world: World, params: Json) -> Json:
    chat = world.writable(chat_of(params))
    upload = _upload(params, "photo")
    caption, marks = checks.caption_and_entities(params)
    reply_markup = checks.markup(params)
    _count(world, chat)
    data = _new_message(world, chat)
    file_id = f"photo{data['message_id']}"
    world.files[file_id] = upload.data
    size = {"file_id": file_id, "file_unique_id": file_id, "width": 1000, "height": 1250}
    data["photo"] = [size | {"file_size": len(upload.data)}]
    if caption:
        data |= {"caption": caption, "caption_entities": marks}
    return _send(world, chat, data, reply_markup, params)


def _upload(params: Json, name: str) -> Upload:
    value = params.get(name)
    if isinstance(value, str) and value.startswith("attach://"):
        value = params.get(value.removeprefix("attach://"))
    if not isinstance(value, Upload):
        raise bad_request(f"there is no {name} in the request")
    if not value.data:
        raise bad_request("file must be non-empty")
    return value


def edit_message_text(world: World, params: Json) -> Json:
    chat, stored = _own_message(world, params, "edit")
    if not {"text", "rich_message"} & stored.data.keys():
        raise bad_request("there is no text in the message to edit")
    text, marks = checks.text_and_entities(params)
    changed = {
        "text": text,
        "entities": marks,
        "link_preview_options": decoded(params, "link_preview_options"),
        "rich_message": None,
    }
    return _edited(world, chat, stored, changed, checks.markup(params))


def edit_message_caption(world: World, params: Json) -> Json:
    chat, stored = _own_message(world, params, "edit")
    if not {"photo", "video", "document", "caption"} & stored.data.keys():
        raise bad_request("there is no caption in the message to edit")
    caption, marks = checks.caption_and_entities(params)
    above = flag(params, "show_caption_above_media") or None
    changed = {"caption": caption, "caption_entities": marks, "show_caption_above_media": above}
    return _edited(world, chat, stored, changed, checks.markup(params))


def _edited(world: World, chat: Chat, stored: StoredMessage, changed: Json, reply_markup: Json | None) -> Json:
    """An edited message; fields that the edit omits are removed, as in Telegram."""
    if changed.get("link_preview_options") == {"is_disabled": False}:
        changed["link_preview_options"] = None
    wanted = {**changed, "reply_markup": reply_markup}
    if all((stored.data.get(name) or None) == (value or None) for name, value in wanted.items()):
        raise bad_request(NOT_MODIFIED)
    _count(world, chat)
    kept = {name: value for name, value in stored.data.items() if name not in changed}
    edit_date = max(int(time.time()), stored.data.get("edit_date", 0))
    stored.data = kept | {name: value for name, value in changed.items() if value} | {"edit_date": edit_date}
    return _with_markup(world, chat, stored, reply_markup)


def edit_message_reply_markup(world: World, params: Json) -> Json:
    chat, stored = _own_message(world, params, "edit")
    reply_markup = checks.markup(params)
    if stored.data.get("reply_markup") == reply_markup:
        raise bad_request(NOT_MODIFIED)
    _count(world, chat)
    return _with_markup(world, chat, stored, reply_markup)


def _with_markup(world: World, chat: Chat, stored: StoredMessage, reply_markup: Json | None) -> Json:
    if reply_markup is None:
        stored.data.pop("reply_markup", None)
    else:
        stored.data["reply_markup"] = reply_markup
    world.edited(chat, stored)
    if chat.type == "channel" and world.tells_own_edits:
        world.updates.push({"edited_channel_post": _visible(stored.data)})
    return _visible(stored.data)


def _own_message(world: World, params: Json, verb: str) -> tuple[Chat, StoredMessage]:
    chat = world.writable(chat_of(params))
    stored = world.message(chat.id, integer(params, "message_id"))
    if stored is None:
        raise bad_request(f"message to {verb} not found")
    if verb == "edit" and not _may_edit(world, chat, stored):
        raise bad_request("message can't be edited")
    return chat, stored


def _may_edit(world: World, chat: Chat, stored: StoredMessage) -> bool:
    """The bot may edit its own messages, and with the right to edit those of a channel."""
    if chat.type != "channel":
        return bool(stored.data.get("from", {}).get("id") == world.bot_id)
    is_fixed = any(stored.data.get(name) for name in ("forward_origin", "via_bot", "poll", "checklist", "is_paid_post"))
    return bool(stored.data.get("x_by_bot")) or (chat.bot_can_edit and not is_fixed)


def delete_message(world: World, params: Json) -> bool:
    chat, stored = _own_message(world, params, "delete")
    if stored.data["date"] < time.time() - 48 * 3600:
        raise bad_request("message can't be deleted for everyone")
    message_id = stored.data["message_id"]
    del world.store[chat.id][message_id]
    world.changes.touch({"type": "delete", "chat_id": chat.id, "message_id": message_id})
    return True


def answer_callback_query(world: World, params: Json) -> bool:
    text = str(params.get("text") or "")
    if len(text) > 200:
        raise bad_request("MESSAGE_TOO_LONG")
    press = world.presses.get(str(params.get("callback_query_id")))
    if press is None or press.answer is not None or time.monotonic() - press.at > world.callback_ttl:
        raise bad_request(TOO_OLD)
    press.answer = PressAnswer(text, flag(params, "show_alert"), params.get("url"))
    world.changes.touch(
        {
            "type": "answer",
            "user_id": press.user_id,
            "id": press.id,
            "text": text,
            "show_alert": press.answer.show_alert,
        }
    )
    return True


def answer_inline_query(world: World, params: Json) -> bool:
    answer = inline.read_answer(params)
    query = world.inline_queries.get(str(params.get("inline_query_id")))
    if query is None or query.answer is not None:
        raise bad_request(TOO_OLD)
    query.answer = answer
    world.changes.touch()
    return True


def send_chat_action(world: World, params: Json) -> bool:
    chat = world.writable(chat_of(params))
    world.changes.touch({"type": "action", "chat_id": chat.id, "action": params.get("action")})
    return True


def get_chat(world: World, params: Json) -> Json:
    gifts = "unlimited_gifts limited_gifts unique_gifts premium_subscription gifts_from_channels"
    return {
        **world.chat(chat_of(params)).shown(),
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(gifts.split(), False),
    }


def get_chat_member(world: World, params: Json) -> Json:
    chat = world.chat(chat_of(params))
    user_id = integer(params, "user_id")
    if chat.type == "channel" and not chat.bot_is_member:
        raise bad_request("member list is inaccessible")
    if user_id == world.bot_id:
        return member(world, chat)
    if user_id not in world.people:
        raise bad_request("invalid user_id specified")
    status = "administrator" if user_id in chat.admins else "left"
    return _member(world.people[user_id].user(), status)


def get_chat_administrators(world: World, params: Json) -> list[Json]:
    chat = world.chat(chat_of(params))
    if not chat.bot_is_member:
        raise bad_request("member list is inaccessible")
    people = [_member(world.people[i].user(), "administrator") for i in sorted(chat.admins)]
    return [*people, member(world, chat)]


def member(world: World, chat: Chat, *, inside: bool | None = None) -> Json:
    """The bot's membership of a chat."""
    inside = chat.bot_is_member if inside is None else inside
    role = "administrator" if chat.type == "channel" else "member"
    shown = _member(world.bot_user(), role if inside else "left")
    shown |= {"can_edit_messages": chat.bot_can_edit} if shown["status"] == "administrator" else {}
    return {name: value for name, value in shown.items() if name not in world.unknown_rights}


def _member(user: Json, status: str) -> Json:
    shown: Json = {"user": user, "status": status}
    if status == "administrator":
        rights = (
            "can_manage_chat can_delete_messages can_manage_video_chats can_restrict_members "
            "can_promote_members can_change_info can_invite_users can_post_messages can_edit_messages "
            "can_post_stories can_edit_stories can_delete_stories can_send_welcome_messages"
        )
        shown |= dict.fromkeys(rights.split(), True) | {"can_be_edited": False, "is_anonymous": False}
    return shown


def get_file(world: World, params: Json) -> Json:
    file_id = str(params.get("file_id"))
    if file_id not in world.files:
        raise bad_request("wrong file_id or the file is temporarily unavailable")
    size = len(world.files[file_id])
    if size > DOWNLOAD_LIMIT:
        raise bad_request("file is too big")
    path = world.file_paths.get(file_id, f"files/{file_id}")
    return {"file_id": file_id, "file_unique_id": file_id, "file_size": size, "file_path": path}


def unknown(world: World, params: Json) -> Any:
    """The answer to an unknown method."""
    raise ApiError(404, "Not Found")


METHODS: dict[str, Method] = {
    "getMe": get_me,
    "sendMessage": send_message,
    "sendDocument": send_document,
    "sendPhoto": send_photo,
    "editMessageText": edit_message_text,
    "editMessageCaption": edit_message_caption,
    "editMessageReplyMarkup": edit_message_reply_markup,
    "deleteMessage": delete_message,
    "answerCallbackQuery": answer_callback_query,
    "answerInlineQuery": answer_inline_query,
    "sendChatAction": send_chat_action,
    "getChat": get_chat,
    "getChatMember": get_chat_member,
    "getChatAdministrators": get_chat_administrators,
    "getFile": get_file,
}
