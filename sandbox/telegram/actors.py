"""The actions of people and channels, for tests, the demo and the chat page."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from sandbox.telegram import entities as text_entities
from sandbox.telegram.errors import ApiError, OddAnswerError
from sandbox.telegram.flood import FloodLimits
from sandbox.telegram.inline import InlineAnswer, InlineQuery
from sandbox.telegram.methods import member
from sandbox.telegram.world import (
    BotCall,
    Chat,
    ErrorRecord,
    InjectedError,
    Json,
    Press,
    PressAnswer,
    TelegramUser,
    World,
)

T = TypeVar("T")


class Actors:
    """Actions of people and channels; each becomes an update for the bot."""

    def __init__(
        self,
        token: str = "700001:sandbox-token",
        *,
        flood: FloodLimits | None = FloodLimits(),  # noqa: B008 - a frozen value
        callback_ttl: float = 30.0,
    ) -> None:
        self.world = World(token, flood, callback_ttl)
        self.url = ""

    @property
    def token(self) -> str:
        """The bot's token."""
        return self.world.token

    @property
    def calls(self) -> list[BotCall]:
        """All calls of the bot."""
        return self.world.calls

    @property
    def errors(self) -> list[ErrorRecord]:
        """All errors with which calls were answered."""
        return self.world.errors

    # -- people ---------------------------------------------------------------------------------------------

    def add_user(
        self,
        user_id: int,
        first_name: str,
        language_code: str | None = "en",
        username: str | None = None,
        *,
        started: bool = False,
    ) -> TelegramUser:
        """Add a person; the bot may write to them once they have written, or at once if `started`."""
        person = TelegramUser(user_id, first_name, language_code, username, started)
        self.world.people[user_id] = person
        self.world.chats[user_id] = Chat(user_id, "private", first_name, username)
        self.world.changes.touch({"type": "chats"})
        return person

    def send_text(self, user_id: int, text: str, **extra: Any) -> int:
        """A person writes to the bot, and so unblocks it; returns the message's id. `extra` are further fields."""
        person, chat = self.world.people[user_id], self.world.chats[user_id]
        person.started, person.blocked = True, False
        return self._say(person, chat, text, extra)

    def send_document(self, user_id: int, name: str | None, data: bytes, mime_type: str | None = None) -> int:
        """A person sends a file; returns the message's id."""
        file_id = f"upload{len(self.world.files) + 1}"
        self.world.files[file_id] = data
        about = {"file_name": name, "mime_type": mime_type, "file_size": len(data)}
        shown = {"file_id": file_id, "file_unique_id": file_id} | {k: v for k, v in about.items() if v is not None}
        return self.send_text(user_id, "", document=shown)

    def group_message(self, group_id: int, user_id: int, text: str, title: str = "Group", **extra: Any) -> int:
        """A person writes in a group with the bot; an unknown group is created."""
        chat = self.world.chats.setdefault(group_id, Chat(group_id, "supergroup", title, bot_is_member=True))
        return self._say(self.world.people[user_id], chat, text, extra)

    def send_forward(self, user_id: int, channel: int | Json, message_id: int, text: str, date: int) -> int:
        """A person forwards a channel's post to the bot."""
        shown = channel if isinstance(channel, dict) else self.world.chats[channel].shown()
        origin = {"type": "channel", "date": date, "chat": shown, "message_id": message_id}
        return self.send_text(user_id, text, forward_origin=origin)

    def _say(self, person: TelegramUser, chat: Chat, text: str, extra: Json) -> int:
        message = self._message(chat, text) | {"from": person.user()} | extra
        self.world.put(chat, message)
        self.world.updates.push({"message": message})
        return int(message["message_id"])

    def _message(self, chat: Chat, text: str, message_id: int | None = None) -> Json:
        number = self.world.next_message_id(chat) if message_id is None else message_id
        message: Json = {"message_id": number, "date": int(time.time()), "chat": chat.shown()}
        marks = text_entities.detected(text, [])
        return message | ({"text": text} if text else {}) | ({"entities": marks} if marks else {})

    def block(self, user_id: int) -> None:
        """A person blocks the bot."""
        self.world.people[user_id].blocked = True
        self._membership(self.world.chats[user_id], user_id, "member", "kicked")

    def unblock(self, user_id: int) -> None:
        """A person unblocks the bot."""
        self.world.people[user_id].blocked = False
        self._membership(self.world.chats[user_id], user_id, "kicked", "member")

    # -- buttons --------------------------------------------------------------------------------------------

    async def press(
        self,
        user_id: int,
        message_id: int,
        button: str | int = 0,
        *,
        chat_id: int | None = None,
        forge: bool = False,
        inaccessible: bool = False,
        timeout: float = 10.0,  # noqa: ASYNC109
    ) -> PressAnswer:
        """A person presses a button (by text, data or position); returns the bot's answer.

        `forge` sends the data even if the message has no such button; `inaccessible` hides the message.
        """
        chat_id = user_id if chat_id is None else chat_id
        data = str(button) if forge else self.button_data(chat_id, message_id, button)
        press = self.begin_press(user_id, chat_id, message_id, data, inaccessible=inaccessible)
        return await self.wait_for(lambda: press.answer, timeout)

    def begin_press(
        self, user_id: int, chat_id: int, message_id: int, data: str, *, inaccessible: bool = False
    ) -> Press:
        """Press a button without waiting for the answer."""
        world = self.world
        press = Press(world.next_press_id(), user_id, data, time.monotonic())
        world.presses[press.id] = press
        stored = world.message(chat_id, message_id)
        message: Json = {"chat": world.chats[chat_id].shown(), "message_id": message_id, "date": 0}
        if stored is not None and not inaccessible:
            message = {name: value for name, value in stored.data.items() if not name.startswith("x_")}
        query: Json = {
            "id": press.id,
            "from": world.people[user_id].user(),
            "message": message,
            "chat_instance": str(chat_id),
            "data": data,
        }
        world.updates.push({"callback_query": query})
        return press

    def button_data(self, chat_id: int, message_id: int, button: str | int) -> str:
        """The callback_data of a button given by position, text or data."""
        buttons = [b for b in self.buttons(chat_id, message_id) if b.get("callback_data")]
        for at, found in enumerate(buttons):
            if button in (at, found["text"], found["callback_data"]):
                return str(found["callback_data"])
        raise LookupError(f"no button {button!r} in message {message_id}: {buttons}")

    def buttons(self, chat_id: int, message_id: int) -> list[Json]:
        """A message's inline buttons in reading order."""
        stored = self.world.message(chat_id, message_id)
        if stored is None:
            raise LookupError(f"no message {message_id} in chat {chat_id}")
        rows = stored.data.get("reply_markup", {}).get("inline_keyboard", [])
        return [button for row in rows for button in row]

    def unanswered(self) -> list[Press]:
        """Presses that the bot has not answered."""
        return [press for press in self.world.presses.values() if press.answer is None]

    # -- inline mode ----------------------------------------------------------------------------------------

    async def ask_inline(self, user_id: int, text: str, offset: str = "", timeout: float = 10.0) -> InlineAnswer:  # noqa: ASYNC109
        """A person types the bot's name and `text` in some chat; returns what the bot offers."""
        query = InlineQuery(self.world.next_press_id(), user_id)
        self.world.inline_queries[query.id] = query
        person = self.world.people[user_id].user()
        about = {"id": query.id, "from": person, "query": text, "offset": offset, "chat_type": "supergroup"}
        self.world.updates.push({"inline_query": about})
        return await self.wait_for(lambda: query.answer, timeout)

    # -- channels -------------------------------------------------------------------------------------------

    def add_channel(
        self,
        channel_id: int,
        title: str,
        username: str | None = None,
        *,
        bot_is_member: bool = False,
        newest_id: int = 0,
    ) -> Chat:
        """Add a channel; the bot gets its posts once it is a member. `newest_id`: its last post so far."""
        chat = Chat(channel_id, "channel", title, username, bot_is_member)
        self.world.chats[channel_id] = chat
        self.world.newest_ids[channel_id] = max(self.world.newest_ids[channel_id], newest_id)
        self.world.changes.touch({"type": "chats"})
        return chat

    def channel_post(
        self,
        channel_id: int,
        text: str,
        message_id: int | None = None,
        media_group_id: str | None = None,
        **extra: Any,
    ) -> int:
        """The channel posts a message; returns its id."""
        chat = self.world.chats[channel_id]
        message = self._message(chat, text, message_id) | {"sender_chat": chat.shown()} | extra
        if media_group_id is not None:
            message = _as_photo(message) | {"media_group_id": media_group_id}
        self.world.put(chat, message)
        if chat.bot_is_member:
            self.world.updates.push({"channel_post": dict(message)})
        return int(message["message_id"])

    def edit_channel_post(
        self, channel_id: int, message_id: int, text: str, edit_date: int | None = None, **extra: Any
    ) -> None:
        """The channel edits a post, later than any edit before; an unknown post is created."""
        chat = self.world.chats[channel_id]
        known = self.world.message(channel_id, message_id)
        before = 0 if known is None else int(known.data.get("edit_date", 0))
        edit = {"edit_date": edit_date or max(int(time.time()), before + 1), "sender_chat": chat.shown()}
        message = self._message(chat, text, message_id) | edit | extra
        if known is None:
            known = self.world.put(chat, message)
        elif "photo" in known.data:
            album = {name: value for name, value in known.data.items() if name == "media_group_id"}
            message = _as_photo(message) | album
        known.data = message
        self.world.edited(chat, known)
        if chat.bot_is_member:
            self.world.updates.push({"edited_channel_post": dict(message)})

    def set_bot_rights(self, channel_id: int, by_user_id: int, *, can_edit: bool, told: bool = True) -> None:
        """A person changes the bot's rights in their channel; `told`: the bot gets an update."""
        chat = self.world.chats[channel_id]
        chat.bot_can_edit = can_edit
        if told:
            self._membership(chat, by_user_id, "administrator", "administrator")

    def add_bot_to_channel(self, channel_id: int, by_user_id: int) -> None:
        """A person makes the bot an administrator of their channel."""
        chat = self.world.chats[channel_id]
        chat.bot_is_member = True
        chat.admins.add(by_user_id)
        self._membership(chat, by_user_id, "left", "administrator")

    def remove_bot_from_channel(self, channel_id: int, by_user_id: int) -> None:
        """A person removes the bot from their channel."""
        chat = self.world.chats[channel_id]
        chat.bot_is_member = False
        self._membership(chat, by_user_id, "administrator", "left")

    def _membership(self, chat: Chat, by_user_id: int, old: str, new: str) -> None:
        admin = member(self.world, chat, inside=True)

        def seen(status: str) -> Json:
            if status == "administrator":
                return admin
            ban = {"until_date": 0} if status == "kicked" else {}
            return {"user": self.world.bot_user(), "status": status} | ban

        update = {
            "chat": chat.shown(),
            "from": self.world.people[by_user_id].user(),
            "date": int(time.time()),
            "old_chat_member": seen(old),
            "new_chat_member": seen(new),
        }
        self.world.updates.push({"my_chat_member": update})
        self.world.changes.touch({"type": "chats"})

    # -- reading, waiting, faults ---------------------------------------------------------------------------

    def push_update(self, update: Json) -> int:
        """Queue any update as given; returns its number."""
        return self.world.updates.push(update, filtered=False)

    def messages(self, chat_id: int) -> list[Json]:
        """The messages of a chat, oldest first: Telegram's fields, `html` and `edits`."""
        return [stored.shown() for _, stored in sorted(self.world.store[chat_id].items())]

    def from_bot(self, chat_id: int) -> list[Json]:
        """The bot's messages in a chat."""
        return [m for m in self.messages(chat_id) if m.get("from", {}).get("id") == self.world.bot_id]

    async def wait_for(self, predicate: Callable[[], T | None], timeout: float = 10.0) -> T:  # noqa: ASYNC109
        """Wait until `predicate` returns something true; it is called after each change."""
        return await self.world.changes.wait_for(predicate, timeout)

    def fail_next(
        self,
        method: str,
        error_code: int,
        description: str,
        retry_after: int | None = None,
        times: int = 1,
        chat_id: int | None = None,
    ) -> None:
        """Answer the next calls of `method` ("*": any) with an error, in one chat or in all."""
        self.world.faults.append(InjectedError(method, ApiError(error_code, description, retry_after), times, chat_id))

    def answer_oddly(self, method: str, text: str, status: int = 200, times: int = 1) -> None:
        """Answer the next calls of `method` ("*": any) with this body instead of the Bot API's JSON."""
        self.world.faults.append(InjectedError(method, OddAnswerError(text, status), times))


def _as_photo(message: Json) -> Json:
    size = {"file_id": "photo", "file_unique_id": "photo", "width": 640, "height": 480}
    message = dict(message)
    if "text" in message:
        message["caption"] = message.pop("text")
    if "entities" in message:
        message["caption_entities"] = message.pop("entities")
    return message | {"photo": [size]}
