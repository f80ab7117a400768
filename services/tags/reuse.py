"""Claimed posts that need no model: without text, with their tags, or with a text that has been tagged already."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from services.tagging.row_values import tagged_values, through_values
from services.tags.text_equality import same_words, text_key
from services.text import has_text
from storage.queue import queue
from storage.queue.queue import ClaimedPost


class Worth(NamedTuple):
    """A post that is worth a request; its text key, unless nobody else is to have its tags or give it theirs."""

    post: ClaimedPost
    key: int | None = None


@dataclass(slots=True)
class Sifted:
    """Claimed posts by what they need: nothing but these values, the end of an equal text's request, or a model."""

    settled: list[tuple[ClaimedPost, dict[str, Any]]] = field(default_factory=list)
    waiting: list[ClaimedPost] = field(default_factory=list)
    worth_asking: list[Worth] = field(default_factory=list)


async def sift(session: AsyncSession, claimed: Sequence[ClaimedPost], asked_now: Collection[int]) -> Sifted:
    """Find the posts that are worth a request.

    Args:
        asked_now: text keys of the posts that are in a request now.
    """
    sifted, keys = Sifted(), dict[int, int]()
    for post in claimed:
        values = without_request(post)
        if values is not None:
            sifted.settled.append((post, values))
        elif not post.wants_new:
            keys[post.id] = text_key(post.text or "")
    known = await _known_tags(session, set(keys.values()))
    done, asked = {post.id for post, _ in sifted.settled}, set(asked_now)
    for post in (post for post in claimed if post.id not in done):
        key = keys.get(post.id)
        tags = known.get(same_words(post.text or "")) if known else None
        if tags and key is not None:
            sifted.settled.append((post, tagged_values(tags, key)))
        elif key is not None and key in asked:
            sifted.waiting.append(post)
        else:
            sifted.worth_asking.append(Worth(post, key))
            asked.update([] if key is None else [key])
    return sifted


def without_request(post: ClaimedPost) -> dict[str, Any] | None:
    """What a row becomes that needs no model and no other row: no text, or the tags that are wanted. Else None."""
    if not has_text(post.text):
        status = "success" if post.tags else "skipped"
    elif post.tags and not post.wants_new and (post.requested_at is None or post.text_key == text_key(post.text or "")):
        # An edit asks for new tags, unless it changed nothing that matters.
        status = "success"
    else:
        return None
    return through_values(status)


async def _known_tags(session: AsyncSession, keys: Collection[int]) -> dict[str, tuple[str, ...]]:
    """Words → tags. By the words, since two texts may share a key by chance."""
    if not keys:
        return {}
    found = await queue.tagged_alike(session, keys)
    # A post whose edit brought no new tags still has those of the text before.
    return {same_words(text): tags for key, text, tags in found if tags and text_key(text) == key}
