"""Updates as nobody should send them: a name each, and what comes to the bot."""

from __future__ import annotations

from typing import Any

from tests.bot.running import ANNA, BEN

Json = dict[str, Any]

#: A group and channels: the bot is in them, and Ben has added it to his.
GROUP, LINKED, HIS_CHANNEL, CHANNEL = -77, -78, -1001234567890, -1009876543210
DATE = 1_700_000_000
HUGE = 10**30

ben: Json = {"id": BEN, "is_bot": False, "first_name": "Ben", "language_code": "en"}
private: Json = {"id": BEN, "type": "private", "first_name": "Ben"}
group: Json = {"id": GROUP, "type": "supergroup", "title": "Group"}
his_channel: Json = {"id": HIS_CHANNEL, "type": "channel", "title": "His", "username": "his_news"}


def message(**fields: Any) -> Json:
    """A private message of Ben's with other fields than it should have; None leaves one out."""
    whole = {"message_id": 5001, "date": DATE, "chat": private, "from": ben, "text": "/stats"} | fields
    return {"message": {name: value for name, value in whole.items() if value is not None}}


def posted(kind: str = "channel_post", **fields: Any) -> Json:
    """The same in a channel."""
    usual = {"chat": his_channel, "sender_chat": his_channel, "text": "News", "from": None}
    return {kind: message(**(usual | fields))["message"]}


def press(**fields: Any) -> Json:
    """The same of a press by Ben."""
    shown = {"message_id": 1, "date": DATE, "chat": private, "text": "x"}
    whole = {"id": "1", "from": ben, "chat_instance": "1", "message": shown, "data": "stats:0"} | fields
    return {"callback_query": {name: value for name, value in whole.items() if value is not None}}


def nested(depth: int, name: str, inner: Any) -> Any:
    """`inner` within so many objects."""
    for _ in range(depth):
        inner = {name: inner} if name != "reply_to_message" else message(reply_to_message=inner)["message"]
    return inner


def member(status: Any, **fields: Any) -> Json:
    """The bot's membership changes."""
    bot = {"id": 1, "is_bot": True, "first_name": "Metka"}
    whole = {
        "chat": private,
        "from": ben,
        "date": DATE,
        "old_chat_member": {"user": bot, "status": "left"},
        "new_chat_member": {"user": bot, "status": status},
    }
    return {"my_chat_member": whole | fields}


def _origin(**fields: Any) -> Json:
    return {"type": "channel", "date": DATE, "chat": his_channel, "message_id": 7} | fields


#: What is no update of the Bot API, or of none that was ever seen.
UPDATES: dict[str, Json] = {
    "nothing": {},
    "a kind of tomorrow": {"a_kind_of_tomorrow": {"id": 1}},
    "two kinds": message() | {"a_kind_of_tomorrow": 1},
    "no message": {"message": None},
    "a list": {"message": []},
    "a text": {"message": "text"},
    "an empty message": {"message": {}},
    "without from": message(**{"from": None}),
    "without chat": message(chat=None),
    "without date": message(date=None),
    "without number": message(message_id=None),
    "without content": message(text=None),
    "text is a number": message(text=7),
    "text is a list": message(text=["/stats"]),
    "number is a text": message(message_id="five"),
    "a huge number": message(message_id=HUGE),
    "a negative number": message(message_id=-1),
    "date is a text": message(date="yesterday"),
    "a huge date": message(date=10**18),
    "a negative date": message(date=-(10**10)),
    "a huge person": message(**{"from": ben | {"id": HUGE}}),
    "a person who is a text": message(**{"from": "Ben"}),
    "a person without name": message(**{"from": {"id": BEN, "is_bot": False}}),
    "a huge chat": message(chat=private | {"id": HUGE}),
    "a chat of tomorrow": message(chat=private | {"type": "planet"}),
    "entities beyond the text": message(entities=[{"type": "bot_command", "offset": 90, "length": -5}]),
    "entities of tomorrow": message(entities=[{"type": "telepathy", "offset": 0, "length": 1}]),
    "replies in replies": message(reply_to_message=nested(300, "reply_to_message", message()["message"])),
    "objects in objects": message(unknown=nested(300, "x", 1)),
    "objects where a text is": message(text=nested(300, "x", 1)),
    "a channel writes in private": message(sender_chat=his_channel, **{"from": None}),
    "a channel writes in a group": message(chat=group, sender_chat=his_channel, **{"from": None}),
    "an anonymous administrator": message(
        chat=group, sender_chat=group, text="hi", **{"from": ben | {"id": 1087968824, "is_bot": True}}
    ),
    "the linked channel": message(
        chat=group, sender_chat=his_channel, is_automatic_forward=True, text="hi", **{"from": ben | {"id": 777000}}
    ),
    "an edited command": {"edited_message": message(edit_date=DATE)["message"]},
    "an edited /retry": {"edited_message": message(edit_date=DATE, text="/retry")["message"]},
    "an inline query": {"inline_query": {"id": "1", "from": ben, "query": "x", "offset": ""}},
    "a reaction": {"message_reaction": {"chat": private, "message_id": 1, "date": DATE}},
    "a poll": {"poll": {"id": "1"}},
    "a forward of tomorrow": message(forward_origin={"type": "dream", "date": DATE}),
    "a forward without its chat": message(forward_origin={"type": "channel", "date": DATE}),
    "a forward of a huge number": message(forward_origin=_origin(message_id=HUGE)),
    "a forward of a huge channel": message(forward_origin=_origin(chat=his_channel | {"id": -HUGE})),
    "a forward of the beginning of time": message(forward_origin=_origin(message_id=8, date=0), text="Old news"),
    "a post of nowhere": posted(chat=his_channel | {"id": CHANNEL}),
    "a post without anything": {"channel_post": {}},
    "a post of a huge number": posted(message_id=HUGE),
    "a post of a huge channel": posted(chat=his_channel | {"id": -HUGE}),
    "a post with NUL": posted(message_id=21, text="a\x00b", chat=his_channel | {"title": "\x00"}),
    "a post without title": posted(message_id=22, chat={"id": HIS_CHANNEL, "type": "channel"}),
    "a post of an album of a long name": posted(message_id=23, media_group_id="9" * 10_000),
    "an edit of nothing": posted("edited_channel_post", message_id=24, edit_date=DATE),
    "an edit to nothing": posted("edited_channel_post", message_id=24, edit_date=DATE, text=None),
    "a status of tomorrow": member("emperor"),
    "a membership without members": {"my_chat_member": {"chat": private, "from": ben, "date": DATE}},
    "a membership in a group": member("member", chat=group),
    "a membership of a huge chat": member("member", chat=private | {"id": HUGE}),
}

#: Presses that can be read, and so have to be answered.
PRESSES: dict[str, Json] = {
    "without message": press(message=None),
    "an inaccessible message": press(message={"message_id": 1, "date": 0, "chat": private}, data="failed:1:1"),
    "without data": press(data=None),
    "of a game": press(data=None, game_short_name="chess"),
    "in a channel": press(message={"message_id": 1, "date": 0, "chat": his_channel}),
    "in a group": press(message={"message_id": 1, "date": DATE, "chat": group, "text": "x"}),
    "in a chat of tomorrow": press(message={"message_id": 1, "date": DATE, "chat": private | {"type": "planet"}}),
    "of an inline message": press(message=None, inline_message_id="x"),
    "data is a number": press(data=7),
    "message is a text": press(message="x"),
}

#: Presses that cannot.
UNREADABLE_PRESSES: dict[str, Json] = {
    "without from": press(**{"from": None}),
    "of a huge person": press(**{"from": ben | {"id": HUGE}}),
}

#: callback_data that no button of Ben's carries.
FORGED: list[str] = [
    *("", "x", ":", "::::", "post", "post:", "post:retry", "post:retry:1", "post:retry:1:1:1", "POST:retry:1:1"),
    *(f"post:{action}:1:{here}" for action in ("retry", "details", "skip", "unskip", "force") for here in (0, 1)),
    *(f"post:retry:{number}:1" for number in (0, -1, 2**31, 2**63, "9" * 40, "1e3", "0x1", "١", "NaN", "")),
    *("post:explode:1:1", "post:retry:1:2", "post:retry:1:ja", "retry", "retry:2", "retry:1:1"),
    *(f"stop:{number}" for number in (0, -1, 1, 2**63 - 1, 2**63, "")),
    *(f"failed:{page}:1" for page in (0, -1, 1_000_001, "x")),
    *("stats:1", "stats:2", "stats", f"access:{ANNA}:1", "access:-1:0", "access:555:1", "try", "try:1"),
    *(
        f"channel:{action}:{ANNA}:1:{card}"
        for action in ("card", "pause", "fetch", "all", "keep", "drop")
        for card in (0, 1)
    ),
    *("channel", "channel:drop:0:1:1", "channel:drop:1:0:1", f"channel:drop:{2**31}:1:1", "channel:explode:1:1:1"),
    *("channels:0:1", "channels:1:2", "channels", "follow", "follow:", "follow:ab", "follow:дуров", "follow:a b c d"),
    *("😀" * 16, "кнопка", "\x00\x01\x02", "%s%s%n", "' OR 1=1 --", "<b>post:retry:1:1</b>", "\u202epost:1", "A" * 64),
]
