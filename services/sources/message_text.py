"""PURE: the text of a message from any source: the Bot API's JSON and Telegram Desktop's, whose names hardly clash."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


#: Fields whose value is words: a string, formatted text, or a list of both.
WORDS = _names(
    "text title summary question description explanation caption credit expression alternative_text address content"
    " body header footer place_name game_title game_description prize_description additional_prize"
)
WORD_ENDINGS = ("_text", "_title", "_caption", "_description", "_explanation", "_question")
#: Content that has no words of its author, or none that a reader takes for the post's text.
WORDLESS = _names(
    "photo video animation audio document voice video_note live_photo sticker dice location contact file media_type"
    " location_information contact_information paid_media paid_stars_amount"
    # Telegram's own messages.
    " new_chat_members left_chat_member new_chat_title new_chat_photo delete_chat_photo channel_chat_created"
    " supergroup_chat_created group_chat_created message_auto_delete_timer_changed migrate_to_chat_id"
    " migrate_from_chat_id pinned_message chat_background_set boost_added video_chat_scheduled video_chat_started"
    " video_chat_ended video_chat_participants_invited checklist_tasks_done checklist_tasks_added"
    " direct_message_price_changed paid_message_price_changed giveaway_created giveaway_completed poll_option_added"
    " poll_option_deleted suggested_post_approved suggested_post_approval_failed suggested_post_declined"
    " suggested_post_paid suggested_post_refunded gift unique_gift chat_owner_left chat_owner_changed"
)
#: A message with one of these is understood, also if it has no words.
UNDERSTOOD = WORDLESS | _names("giveaway giveaway_winners giveaway_information giveaway_results game invoice venue")
#: What is said about a message, and what is not its author's.
ABOUT = _names(
    "actor caption_entities chat direct_messages_topic entities external_reply forward_origin from"
    " guest_bot_caller_chat guest_bot_caller_user inline_bot_buttons link_preview_options quote reactions"
    " receiver_user reply_markup reply_to_message reply_to_story sender_business_bot sender_chat suggested_post_info"
    " text_entities via_bot"
)
#: Inside of content: people, chats, files, and buttons.
ASIDE = WORDLESS | _names("button buttons chat chats from media reply_markup type url user winners")
#: Telegram nests blocks less deep; further in nothing is read.
MOST_DEPTH = 60


@dataclass(frozen=True, slots=True)
class MessageText:
    """`is_supported`: False if the message may say something that cannot be read."""

    text: str | None
    is_supported: bool = True


def message_text(message: Mapping[str, Any]) -> MessageText:
    own = _own_words(message)
    lines = [line for line in (own, *_structured(message)) if line.strip()]
    if not lines:
        # A new kind of content, by whatever of it looks like words.
        unknown = {k: v for k, v in message.items() if isinstance(v, dict | list) and k not in ABOUT}
        lines = list(_lines(unknown, 0)) or [_joined(_dict(message.get("quote")).get("text"), 0)]
    text = "\n".join(dict.fromkeys(lines))
    if text.strip():
        return MessageText(text)
    return MessageText(None, is_supported=not UNDERSTOOD.isdisjoint(message))


def poll_text(poll: Mapping[str, Any]) -> str:
    """The question, the options and what else a poll says, each on its line."""
    options = _list(poll.get("options")) or _list(poll.get("answers"))
    named = [_joined(poll.get(name), 0) for name in ("question", "description")]
    listed = [_joined(_dict(option).get("text"), 0) for option in options]
    explained = [_joined(poll.get(name), 0) for name in ("explanation", "solution")]
    return _together(*named, *_items(listed), *explained)


def _own_words(message: Mapping[str, Any]) -> str:
    """A rich message's words are all in its blocks, even if `text` repeats some of them."""
    rich = "\n".join(_lines(_dict(message.get("rich_message")), 0))
    return rich or next(
        (words for name in ("text", "caption", "text_entities") if (words := _joined(message.get(name), 0)).strip()), ""
    )


def _structured(message: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(poll := message.get("poll"), dict):
        yield poll_text(poll)
    for name in ("checklist", "todo_list"):
        if isinstance(checklist := message.get(name), dict):
            yield _checklist(checklist)
    for name in ("venue", "game", "invoice", "giveaway", "giveaway_winners", "paid_media"):
        yield from _lines(_dict(message.get(name)), 0)
    for name in ("giveaway_information", "giveaway_results", "invoice_information"):
        yield from _lines(_dict(message.get(name)), 0)
    for name in ("place_name", "address", "game_title", "game_description"):
        yield _joined(message.get(name), 0)


def _checklist(checklist: Mapping[str, Any]) -> str:
    tasks = next((found for name in ("tasks", "items", "answers") if (found := _list(checklist.get(name)))), [])
    return _together(
        _joined(checklist.get("title"), 0), *_items([_joined(_dict(task).get("text"), 0) for task in tasks])
    )


def _lines(value: Any, depth: int) -> Iterator[str]:
    """The words of blocks, a line for each."""
    if depth > MOST_DEPTH:
        return
    if isinstance(value, list):
        for inner in value:
            yield from _lines(inner, depth + 1)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in ASIDE or name.endswith("_entities"):
                continue
            if name == "cells":
                yield from _rows(inner, depth + 1)
            elif _is_words(name) and not _is_block(inner):
                yield from filter(str.strip, [_joined(inner, depth + 1)])
            else:
                yield from _lines(inner, depth + 1)


def _rows(rows: Any, depth: int) -> Iterator[str]:
    """A table's rows, a line for each."""
    for row in _list(rows):
        cells = [_joined(_dict(cell).get("text"), depth) for cell in _list(row)]
        if any(cells):
            yield " | ".join(cells)


def _joined(value: Any, depth: int) -> str:
    """Formatted text: a string, a part with words of its own, or a list of these."""
    if isinstance(value, str):
        return value
    if depth > MOST_DEPTH:
        return ""
    if isinstance(value, list):
        return "".join(_joined(part, depth + 1) for part in value)
    if not isinstance(value, dict):
        return ""
    words = [inner for name, inner in value.items() if _is_words(name)]
    return "".join(_joined(inner, depth + 1) for inner in words) if words else "\n".join(_lines(value, depth + 1))


def _is_words(name: str) -> bool:
    return name in WORDS or name.endswith(WORD_ENDINGS)


def _is_block(value: Any) -> bool:
    """A caption of several texts: formatted text names its type."""
    return isinstance(value, dict) and "type" not in value


def _items(items: Sequence[str]) -> list[str]:
    return [f"— {item}" for item in items if item.strip()]


def _together(*lines: str) -> str:
    return "\n".join(line.strip() for line in lines if line.strip())


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
