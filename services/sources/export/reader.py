"""The JSON of an export → its messages, of which one at a time is in memory."""

from collections.abc import Iterator
from typing import Any, Protocol

import ijson
from ijson.common import ObjectBuilder

from services.sources.base import SourceChannel
from services.sources.export.messages import channel_of

#: Paths of a chat: the file itself, or an item of a whole account's lists.
CHATS = ("", "chats.list.item", "left_chats.list.item")
MESSAGES = {f"{chat}.messages.item".removeprefix(".") for chat in CHATS}
FIELDS = {f"{chat}.{name}".removeprefix("."): name for chat in CHATS for name in ("id", "name", "type")}
#: Paths of the lists by which a file is known to be an export.
LISTS = {"messages", "chats.list", "left_chats.list"}
#: ijson keeps the path of each open list and object; an export's are far shorter.
MAX_PATH_LENGTH = 1000
#: The events of so many bytes come at once, each with its path: brackets alone must not make them long.
READ_BYTES = 2**13


class NotAnExportError(Exception):
    """JSON of another kind; the text says what is missing."""


class Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


def messages_of(file: Readable) -> Iterator[tuple[SourceChannel, Any]]:
    """Each message (any JSON value) with its chat.

    Raises:
        NotAnExportError: there are no lists of messages, or a chat without a number.
        ijson.JSONError: the file is damaged.
    """
    fields: dict[str, Any] = {}
    builder: ObjectBuilder | None = None
    is_export = False
    # use_float limits numbers to 64 bits: longer ones are JSONErrors.
    for path, event, value in ijson.parse(file, buf_size=READ_BYTES, use_float=True):
        if len(path) > MAX_PATH_LENGTH:
            raise ijson.JSONError("nested too deeply")
        if path in MESSAGES or builder is not None:
            builder = builder or ObjectBuilder()
            builder.event(event, value)
            if not builder.containers:
                yield _channel(fields, in_account=path != "messages.item"), builder.value
                builder = None
        elif path in FIELDS:
            fields[FIELDS[path]] = value
        elif event == "start_map" and path in CHATS:
            fields = {}
        elif event == "start_array" and path in LISTS:
            is_export = True
        elif path == "" and event == "start_array":
            raise NotAnExportError("it does not begin with an object")
    if not is_export:
        raise NotAnExportError("it holds no list of messages")


def _channel(fields: dict[str, Any], *, in_account: bool) -> SourceChannel:
    channel = channel_of(fields, in_account=in_account)
    if channel is None:
        raise NotAnExportError("the number of a chat ('id') does not come before its messages")
    return channel
