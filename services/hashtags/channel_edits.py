"""Edits of channel posts with hashtags: telling our own from those of people."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.hashtags.formatting import EditableMessage, clipped, without_line
from storage import outbox
from storage.channels import hashtags as rows
from storage.schema.source_tables import HashtagRow
from storage.schema.tables import ChannelOwner

NO_TEXT = "the message has no text"


@dataclass(frozen=True, slots=True)
class RecognisedEdit:
    """The post's text without our hashtags, and the new column values of its HashtagRow."""

    text: str
    values: dict[str, Any] = field(default_factory=dict)


def recognise(row: HashtagRow, message: EditableMessage, edited_at: datetime | None) -> RecognisedEdit:
    """PURE: an edited message → a person's edit, or our own, which changes nothing."""
    text = without_line(message.text, (row.line, row.other_line))
    if edited_at is not None and row.edited_at is not None and edited_at <= row.edited_at:
        return _written_over(row, message, text, is_as_old=edited_at == row.edited_at)
    if text is None:
        values = {**_without_ours(row, message), **_as_original(message, message.text, edited_at)}
        return RecognisedEdit(message.text, values)
    values = _as_original(message, text, edited_at)
    if text != row.text:
        values["line"] = message.text[len(text) :].strip()
    return RecognisedEdit(text, {**values, **_obstacle(row, message, text)})


def _written_over(row: HashtagRow, message: EditableMessage, text: str | None, *, is_as_old: bool) -> RecognisedEdit:
    """An edit not later than our last one. If it is a person's, our edit overwrote it, and it is restored."""
    own = message.text if text is None else text
    values = _as_original(message, own, None)
    known = {"text": row.text, "entities": row.entities or [], "options": row.options or {}}
    if values == known or (is_as_old and _is_ours(row, has_line=text is not None)):
        return RecognisedEdit(row.text)
    if message.obstacle or row.state == "refused":
        return RecognisedEdit(own, {**values, **_obstacle(row, message, own)})
    return RecognisedEdit(
        own, {**values, "line": None, "other_line": row.line or row.other_line, "state": _put_back(row, own)}
    )


def _is_ours(row: HashtagRow, *, has_line: bool) -> bool:
    """Whether this is our own last edit, seen after a person's overwritten edit was noticed but not yet restored."""
    is_planned = row.line is None and row.other_line is not None and row.state in {"waiting", "undoing"}
    return is_planned and has_line == (row.state == "waiting")


def _put_back(row: HashtagRow, text: str) -> str:
    """The state in which the writer restores a person's edit."""
    if not text:
        return "undoing" if row.is_caption else "undone"
    return {"written": "waiting", "undone": "undoing"}.get(row.state, row.state)


def _without_ours(row: HashtagRow, message: EditableMessage) -> dict[str, Any]:
    if row.line is None:
        return _obstacle(row, message, message.text)
    return {"line": None, "other_line": row.line, "state": "undone"}


def _obstacle(row: HashtagRow, message: EditableMessage, text: str) -> dict[str, Any]:
    obstacle = message.obstacle or (None if text else NO_TEXT)
    is_open = row.state in {"waiting", "written"}
    return {"state": "refused", "error": obstacle} if obstacle and is_open else {}


def _as_original(message: EditableMessage, text: str, edited_at: datetime | None) -> dict[str, Any]:
    values = {"text": text, "entities": clipped(message.entities, text), "options": message.options}
    return values if edited_at is None else {**values, "edited_at": edited_at}


def original_of(row: HashtagRow) -> EditableMessage:
    return EditableMessage(row.text, row.entities or [], row.is_caption, row.options or {})


async def record_edit(
    session: AsyncSession,
    post_id: int,
    message_id: int,
    message: EditableMessage,
    edited_at: datetime | None,
    now: datetime,
) -> str | None:
    """Record an edit of a post's message, ours or a person's.

    Returns the post's own text; None if no hashtags are kept for the post.
    """
    row = await rows.find_with_post(session, post_id)
    # The other messages of an album have no caption, so their edits do not concern us.
    if row is None or row.message_id != message_id:
        return None
    found = recognise(row, message, edited_at)
    for name, value in {**found.values, "updated_at": now}.items():
        setattr(row, name, value)
    return found.text


async def await_tags(
    session: AsyncSession, post_id: int, chat_id: int, message_id: int, message: EditableMessage, now: datetime
) -> None:
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
    """Stop writing hashtags into a channel; the existing ones stay.

    `tell`: 'hashtags_off' or 'taken_out' tells the owner, who did not ask for this.
    """
    if owner.hashtags_since is None:
        return
    owner.hashtags_since = None
    await rows.forget_waiting(session, owner.telegram_channel_id)
    if tell is not None:
        payload = {"text": tell, "title": owner.title or str(owner.telegram_channel_id)}
        await outbox.tell_of_channel(session, owner.owner_telegram_id, payload, now)
