"""The state: people, chats, messages, button presses, and the record of calls."""

from __future__ import annotations

import itertools
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from sandbox.telegram import entities as text_entities
from sandbox.telegram.changes import Changes
from sandbox.telegram.errors import ApiError, bad_request, forbidden
from sandbox.telegram.flood import FloodControl, FloodLimits
from sandbox.telegram.inline import InlineQuery
from sandbox.telegram.updates import UpdateQueue

Json = dict[str, Any]


@dataclass
class TelegramUser:
    """A Telegram user."""

    id: int
    first_name: str
    language_code: str | None = None
    username: str | None = None
    started: bool = False
    blocked: bool = False

    def user(self) -> Json:
        """The JSON of `from`."""
        shown: Json = {"id": self.id, "is_bot": False, "first_name": self.first_name}
        if self.username:
            shown["username"] = self.username
        if self.language_code:
            shown["language_code"] = self.language_code
        return shown


@dataclass
class Chat:
    """A private chat, group or channel."""

    id: int
    type: str
    title: str
    username: str | None = None
    bot_is_member: bool = False
    admins: set[int] = field(default_factory=set)
    #: Rights of the bot as the channel's administrator.
    bot_can_edit: bool = True

    def shown(self) -> Json:
        """The JSON of `chat`."""
        chat: Json = {"id": self.id, "type": self.type}
        chat["first_name" if self.type == "private" else "title"] = self.title
        if self.username:
            chat["username"] = self.username
        return chat


@dataclass
class StoredMessage:
    """A stored message."""

    data: Json
    edits: int = 0

    def shown(self) -> Json:
        """The message's JSON with its HTML and the number of its edits."""
        text: str = self.data.get("text") or self.data.get("caption") or ""
        marks: list[Json] = self.data.get("entities") or self.data.get("caption_entities") or []
        return {
            **self.data,
            "text": text,
            "entities": marks,
            "html": text_entities.to_html(text, marks),
            "edits": self.edits,
        }


@dataclass(frozen=True)
class PressAnswer:
    """An answerCallbackQuery."""

    text: str = ""
    show_alert: bool = False
    url: str | None = None


@dataclass
class Press:
    """A pressed button, and its answer if there is one."""

    id: str
    user_id: int
    data: str
    at: float
    answer: PressAnswer | None = None


@dataclass(frozen=True)
class BotCall:
    """A call of the bot; `at` is in monotonic seconds."""

    method: str
    params: Json
    at: float


@dataclass(frozen=True)
class ErrorRecord:
    """An error with which a call was answered."""

    method: str
    params: Json
    code: int
    description: str


@dataclass
class InjectedError:
    """An error for the next calls of a method."""

    method: str
    error: ApiError
    times: int
    #: None: any chat.
    chat_id: int | None = None

    def concerns(self, method: str, params: Json) -> bool:
        """Whether this call gets the error."""
        is_there = self.chat_id is None or str(params.get("chat_id")) == str(self.chat_id)
        return self.times > 0 and self.method in {method, "*"} and is_there


class World:
    """The whole state, without HTTP."""

    def __init__(self, token: str, flood: FloodLimits | None, callback_ttl: float) -> None:
        self.token = token
        self.bot_id = int(token.partition(":")[0])
        self.bot_username = "metka_sandbox_bot"
        self.bot_name = "Metka"
        self.callback_ttl = callback_ttl
        #: Send the bot updates of its own edits, which Telegram does not do.
        self.tells_own_edits = False
        #: Rights that this server does not know yet, as an older one's memberships lack them.
        self.unknown_rights: frozenset[str] = frozenset()
        self.people: dict[int, TelegramUser] = {}
        self.chats: dict[int, Chat] = {}
        self.store: defaultdict[int, dict[int, StoredMessage]] = defaultdict(dict)
        self.presses: dict[str, Press] = {}
        self.inline_queries: dict[str, InlineQuery] = {}
        self.commands: dict[tuple[str, str], list[Json]] = {}
        self.descriptions: dict[tuple[str, str], str] = {}
        self.files: dict[str, bytes] = {}
        #: Paths of files outside of the server, as in --local mode.
        self.file_paths: dict[str, str] = {}
        self.calls: list[BotCall] = []
        self.errors: list[ErrorRecord] = []
        self.faults: list[InjectedError] = []
        self.updates = UpdateQueue()
        self.changes = Changes()
        self.flood = FloodControl(flood)
        self._ids = itertools.count(1)
        #: Id of each channel's newest post; older posts need not be stored.
        self.newest_ids: Counter[int] = Counter()

    def bot_user(self) -> Json:
        """The bot's JSON of `from`."""
        return {
            "id": self.bot_id,
            "is_bot": True,
            "first_name": self.bot_name,
            "username": self.bot_username,
        }

    def chat(self, chat_id: int | str) -> Chat:
        """A chat by id or @username; 400 if there is none."""
        if isinstance(chat_id, str):
            wanted = chat_id.removeprefix("@").lower()
            found = next((c for c in self.chats.values() if (c.username or "").lower() == wanted), None)
            if found is not None and found.type != "private":
                return found
        elif chat_id in self.chats:
            return self.chats[chat_id]
        raise bad_request("chat not found")

    def writable(self, chat_id: int | str) -> Chat:
        """A chat to which the bot may write; else Telegram's error."""
        chat = self.chat(chat_id)
        if chat.type == "private":
            person = self.people[chat.id]
            if person.blocked:
                raise forbidden("bot was blocked by the user")
            if not person.started:
                raise forbidden("bot can't initiate conversation with a user")
        elif not chat.bot_is_member:
            raise forbidden(f"bot is not a member of the {chat.type} chat")
        return chat

    def next_message_id(self, chat: Chat) -> int:
        """The next id: each channel has its own numbers, private chats share theirs."""
        if chat.type != "channel":
            return next(self._ids)
        self.newest_ids[chat.id] += 1
        return self.newest_ids[chat.id]

    def next_press_id(self) -> str:
        """The id of a callback query or inline query: a long number, as Telegram's are."""
        return str(4_000_000_000_000_000_000 + next(self._ids))

    def put(self, chat: Chat, data: Json) -> StoredMessage:
        """Store a new message and report it to the chat page."""
        stored = self.store[chat.id][data["message_id"]] = StoredMessage(data)
        self.changes.touch({"type": "message", "chat_id": chat.id, "message": stored.shown()})
        return stored

    def edited(self, chat: Chat, stored: StoredMessage) -> None:
        """Report an edited message."""
        stored.edits += 1
        self.changes.touch({"type": "edit", "chat_id": chat.id, "message": stored.shown()})

    def message(self, chat_id: int, message_id: int) -> StoredMessage | None:
        """A message, or None."""
        return self.store[chat_id].get(message_id)

    def fault_for(self, method: str, params: Json) -> ApiError | None:
        """The error injected for this call, if any."""
        for fault in self.faults:
            if fault.concerns(method, params):
                fault.times -= 1
                return fault.error
        return None

    def record_call(self, method: str, params: Json) -> None:
        """Remember a call."""
        self.calls.append(BotCall(method, params, time.monotonic()))
        self.changes.touch()

    def record_error(self, method: str, params: Json, error: ApiError) -> None:
        """Remember an error answered."""
        self.errors.append(ErrorRecord(method, params, error.code, error.description))
        self.changes.touch({"type": "error", "method": method, "code": error.code, "description": error.description})
