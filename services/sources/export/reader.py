"""The JSON events of an export → deliveries. Only what a post needs is built; all else is passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from services.sources.base import Delivery, SourceChannel, SourcePost
from services.sources.export.messages import channel_of, post_of

#: Where a whole account's export has its chats.
CHAT_LISTS = {"chats", "left_chats"}
CHAT_FIELDS = {"name", "type", "id"}
MESSAGE_FIELDS = {"id", "type", "date", "date_unixtime", "edited", "edited_unixtime"}
#: Telegram's texts have 4,096 characters at most; of a longer one only so many are kept.
TEXT_LENGTH = 65_536
#: An export has a dozen levels.
DEPTH = 1000

STARTS = {"start_map", "start_array"}
ENDS = {"end_map", "end_array"}


class NotAnExportError(Exception):
    """JSON of another kind; the text says what is missing."""


class TooDeepError(ValueError):
    """Lists in lists in lists."""


class ExportReader:
    """Reads one file's events once.

    Attributes:
        consumed: messages of the whole file so far.
    """

    def __init__(self, events: Iterator[tuple[str, Any]], position: int, part: int) -> None:
        self._events = events
        self._next = events.__next__
        self._position = position
        self._part = part
        self._channel: SourceChannel | None = None
        self._posts: list[SourcePost] = []
        self._skipped: Counter[str] = Counter()
        self._delivered = position
        self._has_messages = False
        self.consumed = 0

    def deliveries(self) -> Iterator[Delivery]:
        """Everything after the position.

        Raises:
            NotAnExportError: there are no messages in it.
            JSONError, ValueError, ArithmeticError: it is damaged (the parser's errors).
        """
        event, _ = self._next()
        if event != "start_map":
            raise NotAnExportError("it does not begin with an object")
        yield from self._chat(is_top=True)
        for _ in self._events:
            # What follows is the parser's to refuse.
            pass
        if not self._has_messages:
            raise NotAnExportError("it holds no list of messages")

    def rest(self) -> Delivery | None:
        """What was read and not delivered yet."""
        if self._channel is None or self.consumed <= self._delivered:
            return None
        delivery = Delivery(self._channel, self._posts, self.consumed, self._skipped)
        self._posts, self._skipped, self._delivered = [], Counter(), self.consumed
        return delivery

    def _chat(self, *, is_top: bool = False) -> Iterator[Delivery]:
        fields: dict[str, Any] = {}
        while (step := self._next())[0] != "end_map":
            key = step[1]
            event, value = self._next()
            if event == "start_array" and key == "messages":
                yield from self._messages(fields)
            elif event == "start_map" and is_top and key in CHAT_LISTS:
                yield from self._chats()
            elif event in STARTS:
                self._pass_over()
            elif key in CHAT_FIELDS:
                fields[key] = value

    def _chats(self) -> Iterator[Delivery]:
        """`{"about": …, "list": [chat, …]}`."""
        while (step := self._next())[0] != "end_map":
            event, _ = self._next()
            if event != "start_array" or step[1] != "list":
                self._pass_over(event)
                continue
            self._has_messages = True
            while (event := self._next()[0]) != "end_array":
                if event == "start_map":
                    yield from self._chat()
                else:
                    self._pass_over(event)

    def _messages(self, fields: dict[str, Any]) -> Iterator[Delivery]:
        self._has_messages = True
        self._channel = channel = channel_of(fields)
        while (event := self._next()[0]) != "end_array":
            if channel is None:
                raise NotAnExportError("the number of a chat ('id') does not come before its messages")
            self._take(event, channel)
            if self.consumed - self._delivered >= self._part and (part := self.rest()) is not None:
                yield part
        if (part := self.rest()) is not None:
            yield part

    def _take(self, event: str, channel: SourceChannel) -> None:
        """One message; it counts when all of it was read."""
        if event != "start_map" or self.consumed < self._position:
            self._pass_over(event)
            result: SourcePost | str = "unreadable"
        else:
            result = post_of(channel, *self._message())
        self.consumed += 1
        if self.consumed <= self._position:
            return
        if isinstance(result, SourcePost):
            self._posts.append(result)
        else:
            self._skipped[result] += 1

    def _message(self) -> tuple[dict[str, Any], str | None]:
        """Its fields, and its text."""
        fields: dict[str, Any] = {}
        text = poll = ""
        while (step := self._next())[0] != "end_map":
            key = step[1]
            event, value = self._next()
            if key == "text" or (key == "text_entities" and not text):
                text = self._text(event, value)
            elif key == "poll" and event == "start_map":
                poll = self._poll()
            elif event in STARTS:
                self._pass_over()
            elif key in MESSAGE_FIELDS:
                fields[key] = value
        return fields, text or poll or None

    def _text(self, event: str, value: Any) -> str:
        """A string, a part `{"type": …, "text": …}`, or a list of these, joined."""
        if event == "string":
            return str(value)[:TEXT_LENGTH]
        if event == "start_map":
            return self._part_text()
        if event != "start_array":
            return ""
        return self._joined()

    def _joined(self) -> str:
        parts, length = [], 0
        while (step := self._next())[0] != "end_array":
            event, value = step
            if event == "string":
                piece = str(value)
            elif event == "start_map":
                piece = self._part_text()
            else:
                self._pass_over(event)
                continue
            if piece and length < TEXT_LENGTH:
                parts.append(piece)
                length += len(piece)
        return "".join(parts)[:TEXT_LENGTH]

    def _part_text(self) -> str:
        text = ""
        while (step := self._next())[0] != "end_map":
            event, value = self._next()
            if step[1] != "text":
                self._pass_over(event)
            elif event == "start_array":
                # A poll's question or answer with formatting; a text's part has none of these.
                text = self._joined()
            elif event == "string":
                text = str(value)[:TEXT_LENGTH]
            else:
                self._pass_over(event)
        return text

    def _poll(self) -> str:
        """The question, and each answer on a line of its own."""
        question, answers = "", ""
        while (step := self._next())[0] != "end_map":
            event, value = self._next()
            if step[1] == "question":
                question = self._text(event, value)
            elif step[1] == "answers" and event == "start_array":
                answers = self._answers()
            else:
                self._pass_over(event)
        return f"{question}\n{answers}".strip()

    def _answers(self) -> str:
        lines, length = [], 0
        while (event := self._next()[0]) != "end_array":
            if event != "start_map":
                self._pass_over(event)
                continue
            line = self._part_text()
            if line and length < TEXT_LENGTH:
                lines.append(f"— {line}")
                length += len(line)
        return "\n".join(lines)[:TEXT_LENGTH]

    def _pass_over(self, event: str = "start_map") -> None:
        """The rest of a value that begins with this event; nothing when that is all of it."""
        depth = 1 if event in STARTS else 0
        while depth:
            event = self._next()[0]
            if event in STARTS:
                depth += 1
                if depth > DEPTH:
                    raise TooDeepError("nested too deeply")
            elif event in ENDS:
                depth -= 1
