"""What exists on the stand-in: people, chats, messages, button presses, and the record of calls."""

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
from sandbox.telegram.updates import UpdateQueue

Json = dict[str, Any]


@dataclass
class Person:
    """Somebody with a Telegram client."""

    id: int
    first_name: str
    language_code: str | None = None
    username: str | None = None
    started: bool = False
    blocked: bool = False

    def user(self) -> Json:
        """As `from` shows them."""
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
    #: Of the bot as a channel's administrator.
    bot_can_edit: bool = True

    def shown(self) -> Json:
        """As messages show it."""
        chat: Json = {"id": self.id, "type": self.type}
        chat["first_name" if self.type == "private" else "title"] = self.title
        if self.username:
            chat["username"] = self.username
        return chat


@dataclass
class Stored:
    """A message as it stands."""

    data: Json
    edits: int = 0

    def shown(self) -> Json:
        """The message with its HTML and the number of its edits."""
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
class Answer:
    """What answerCallbackQuery said."""

    text: str = ""
    show_alert: bool = False
    url: str | None = None


@dataclass
class Press:
    """A button pressed, and the answer to it once it has come."""

    id: str
    user_id: int
    data: str
    at: float
    answer: Answer | None = None


@dataclass(frozen=True)
class Call:
    """One call of the bot's; `at` is monotonic."""

    method: str
    params: Json
    at: float


@dataclass(frozen=True)
class ErrorRecord:
    """An error that a call was answered with."""

    method: str
    params: Json
    code: int
    description: str


@dataclass
class Fault:
    """An error to answer the next calls of a method with."""

    method: str
    error: ApiError
    times: int
    #: None: whatever the chat.
    chat_id: int | None = None

    def concerns(self, method: str, params: Json) -> bool:
        """Whether it is this call's."""
        is_there = self.chat_id is None or str(params.get("chat_id")) == str(self.chat_id)
        return self.times > 0 and self.method in {method, "*"} and is_there


class World:
    """All state; no HTTP."""

    def __init__(self, token: str, flood: FloodLimits | None, callback_ttl: float) -> None:
        self.token = token
        self.bot_id = int(token.partition(":")[0])
        self.bot_username = "metka_sandbox_bot"
        self.bot_name = "Metka"
        self.callback_ttl = callback_ttl
        #: Telegram does not tell a bot of its own edits; a server that does is to be borne.
        self.tells_own_edits = False
        self.people: dict[int, Person] = {}
        self.chats: dict[int, Chat] = {}
        self.store: defaultdict[int, dict[int, Stored]] = defaultdict(dict)
        self.presses: dict[str, Press] = {}
        self.commands: dict[tuple[str, str], list[Json]] = {}
        self.descriptions: dict[tuple[str, str], str] = {}
        self.files: dict[str, bytes] = {}
        #: Of files that lie elsewhere, as a server in --local mode has them.
        self.file_paths: dict[str, str] = {}
        self.calls: list[Call] = []
        self.errors: list[ErrorRecord] = []
        self.faults: list[Fault] = []
        self.updates = UpdateQueue()
        self.changes = Changes()
        self.flood = FloodControl(flood)
        self._ids = itertools.count(1)
        #: The newest post's of each channel, which may have posts older than what is stored here.
        self.newest_ids: Counter[int] = Counter()

    def bot_user(self) -> Json:
        """The bot as `from` shows it."""
        return {
            "id": self.bot_id,
            "is_bot": True,
            "first_name": self.bot_name,
            "username": self.bot_username,
        }

    def chat(self, chat_id: int | str) -> Chat:
        """A chat by id or @username, or 400."""
        if isinstance(chat_id, str):
            wanted = chat_id.removeprefix("@").lower()
            found = next((c for c in self.chats.values() if (c.username or "").lower() == wanted), None)
            if found is not None and found.type != "private":
                return found
        elif chat_id in self.chats:
            return self.chats[chat_id]
        raise bad_request("chat not found")

    def writable(self, chat_id: int | str) -> Chat:
        """A chat that the bot may write to, or Telegram's refusal."""
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
        """Channels count for themselves, private chats together."""
        if chat.type != "channel":
            return next(self._ids)
        self.newest_ids[chat.id] += 1
        return self.newest_ids[chat.id]

    def next_press_id(self) -> str:
        """A callback query's id: a long number, as Telegram's are."""
        return str(4_000_000_000_000_000_000 + next(self._ids))

    def put(self, chat: Chat, data: Json) -> Stored:
        """A new message: stored, and told to the page."""
        stored = self.store[chat.id][data["message_id"]] = Stored(data)
        self.changes.touch({"type": "message", "chat_id": chat.id, "message": stored.shown()})
        return stored

    def edited(self, chat: Chat, stored: Stored) -> None:
        """A message changed."""
        stored.edits += 1
        self.changes.touch({"type": "edit", "chat_id": chat.id, "message": stored.shown()})

    def message(self, chat_id: int, message_id: int) -> Stored | None:
        """A message, if there is one."""
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
        self.calls.append(Call(method, params, time.monotonic()))
        self.changes.touch()

    def record_error(self, method: str, params: Json, error: ApiError) -> None:
        """Remember an error answered."""
        self.errors.append(ErrorRecord(method, params, error.code, error.description))
        self.changes.touch({"type": "error", "method": method, "code": error.code, "description": error.description})
