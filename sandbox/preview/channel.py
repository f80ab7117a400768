"""A public channel and its messages."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

FIRST_POST = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Message:
    """A message as the preview shows it.

    Attributes:
        kind: a name of `markup.KINDS`.
        members: numbers of the other photos of an album.
        html: markup that replaces the rendering of `text`.
    """

    number: int
    posted_at: datetime
    kind: str = "text"
    text: str = ""
    views: str = "1"
    edited: bool = False
    members: tuple[int, ...] = ()
    options: tuple[str, ...] = ()
    html: str | None = None


@dataclass
class PreviewChannel:
    """A channel; without `has_preview` it is private, or its owner has switched the preview off."""

    name: str
    title: str
    has_preview: bool = True
    messages: dict[int, Message] = field(default_factory=dict)
    next_number: int = 1

    def post(self, text: str = "", *, kind: str = "text", **details: Any) -> int:
        """Post a message; returns its number. `details` are fields of `Message`; a higher `number` leaves a gap."""
        number = int(details.pop("number", self.next_number))
        details.setdefault("posted_at", FIRST_POST + timedelta(minutes=number))
        self.messages[number] = Message(number=number, kind=kind, text=text, **details)
        self.next_number = max(
            [self.next_number, number + 1, *(member + 1 for member in self.messages[number].members)]
        )
        return number

    def posts(self, *texts: str) -> list[int]:
        """Post several texts; returns their numbers."""
        return [self.post(text) for text in texts]

    def poll(self, question: str, *options: str) -> int:
        """Post a poll; returns its number."""
        return self.post(question, kind="poll", options=options)

    def album(self, caption: str = "", size: int = 3) -> int:
        """Post an album; returns the number of its first photo."""
        first = self.next_number
        return self.post(caption, kind="album", members=tuple(range(first + 1, first + size)))

    def gap(self, numbers: int = 1) -> None:
        """Skip numbers, as deleted messages do."""
        self.next_number += numbers

    def edit(self, number: int, text: str) -> None:
        """Change a message's text."""
        self.messages[number] = replace(self.messages[number], text=text, html=None, edited=True)

    def see(self, number: int, views: str) -> None:
        """Set the views of a message as the page shows them."""
        self.messages[number] = replace(self.messages[number], views=views)

    def delete(self, number: int) -> None:
        """Delete a message; its number is not reused."""
        del self.messages[number]

    def page(self, before: int | None, size: int) -> list[Message]:
        """The newest messages older than `before`, oldest first."""
        numbers = sorted(number for number in self.messages if before is None or number < before)
        return [self.messages[number] for number in numbers[-size:]]
