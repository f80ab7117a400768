"""What messages of channels mean for the hashtags in them: our own edits, people's, and the end of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.hashtags.formatting import Original, clipped, without_line
from storage import outbox
from storage.channels import hashtags as rows
from storage.schema.source_tables import HashtagRow
from storage.schema.tables import ChannelOwner

NO_TEXT = "the message has no text"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an edited message is: the post's own text, and what changes in its row."""

    text: str
    values: dict[str, Any] = field(default_factory=dict)


def seen(row: HashtagRow, message: Original, edited_at: datetime | None) -> Seen:
    """PURE: an edited message → a person's edit, or our own, which changes nothing."""
    text = without_line(message.text, (row.line, row.other_line))
    if edited_at is not None and row.edited_at is not None and edited_at <= row.edited_at:
        return _written_over(row, message, text, is_as_old=edited_at == row.edited_at)
    if text is None:
        values = {**_without_ours(row, message), **_as_original(message, message.text, edited_at)}
        return Seen(message.text, values)
    values = _as_original(message, text, edited_at)
    if text != row.text:
        values["line"] = message.text[len(text) :].strip()
    return Seen(text, {**values, **_obstacle(row, message, text)})


def _written_over(row: HashtagRow, message: Original, text: str | None, *, is_as_old: bool) -> Seen:
    """An edit from before our last one, or in the same second: a person's is put back, since ours wrote over it."""
    own = message.text if text is None else text
    values = _as_original(message, own, None)
    known = {"text": row.text, "entities": row.entities or [], "options": row.options or {}}
    if values == known or (is_as_old and _is_ours(row, has_line=text is not None)):
        return Seen(row.text)
    if message.obstacle or row.state == "refused":
        return Seen(own, {**values, **_obstacle(row, message, own)})
    return Seen(own, {**values, "line": None, "other_line": row.line or row.other_line, "state": _put_back(row, own)})


def _is_ours(row: HashtagRow, *, has_line: bool) -> bool:
    """Our own last edit, seen after it was found to have written over a person's, which is yet to be put back."""
    is_yet_to_be = row.line is None and row.other_line is not None and row.state in {"waiting", "undoing"}
    return is_yet_to_be and has_line == (row.state == "waiting")


def _put_back(row: HashtagRow, text: str) -> str:
    """The state in which a person's edit gets back into the channel."""
    if not text:
        # Nothing will be tagged: whoever deleted the caption wants none.
        return "undoing" if row.is_caption else "undone"
    return {"written": "waiting", "undone": "undoing"}.get(row.state, row.state)


def _without_ours(row: HashtagRow, message: Original) -> dict[str, Any]:
    """No line of ours stands in the message, as this edit of a person's left it."""
    if row.line is None:
        return _obstacle(row, message, message.text)
    return {"line": None, "other_line": row.line, "state": "undone"}


def _obstacle(row: HashtagRow, message: Original, text: str) -> dict[str, Any]:
    """A message that could be edited, and cannot be any more."""
    obstacle = message.obstacle or (None if text else NO_TEXT)
    is_open = row.state in {"waiting", "written"}
    return {"state": "refused", "error": obstacle} if obstacle and is_open else {}


def _as_original(message: Original, text: str, edited_at: datetime | None) -> dict[str, Any]:
    values = {"text": text, "entities": clipped(message.entities, text), "options": message.options}
    return values if edited_at is None else {**values, "edited_at": edited_at}


def original_of(row: HashtagRow) -> Original:
    """The message without what we appended."""
    return Original(row.text, row.entities or [], row.is_caption, row.options or {})


async def note_edit(
    session: AsyncSession, post_id: int, message_id: int, message: Original, edited_at: datetime | None, now: datetime
) -> str | None:
    """A post's message was edited, perhaps by us: returns its own text; None: there is nothing of ours about it."""
    row = await rows.find_with_post(session, post_id)
    # Another message of an album has no caption: that says nothing of ours.
    if row is None or row.message_id != message_id:
        return None
    found = seen(row, message, edited_at)
    for name, value in {**found.values, "updated_at": now}.items():
        setattr(row, name, value)
    return found.text


async def begin(
    session: AsyncSession, post_id: int, chat_id: int, message_id: int, message: Original, now: datetime
) -> None:
    """The tags of a post are to be written into its message once they are there."""
    if message.obstacle or await rows.find(session, post_id) is not None:
        return
    session.add(
        HashtagRow(
            post_id=post_id,
            chat_id=chat_id,
            message_id=message_id,
            is_caption=message.is_caption,
            text=message.text,
            entities=list(message.entities),
            options=message.options,
            state="waiting",
            updated_at=now,
        )
    )


async def switch_off(session: AsyncSession, owner: ChannelOwner, now: datetime, *, tell: str | None = None) -> None:
    """No more hashtags in a channel; those that stand stay.

    Args:
        tell: the news for the owner, where it was not they who wanted it: 'hashtags_off' or 'taken_out'.
    """
    if owner.hashtags_since is None:
        return
    owner.hashtags_since = None
    await rows.forget_waiting(session, owner.telegram_channel_id)
    if tell is not None:
        payload = {"text": tell, "title": owner.title or str(owner.telegram_channel_id)}
        await outbox.tell_of_channel(session, owner.owner_telegram_id, payload, now)
