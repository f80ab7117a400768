"""The use cases of a post's tags changed by hand. They hold: a later answer neither drops nor brings them back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.tags.errors import TagError, TagProblem
from services.tags.keys import tag_key
from services.tags.resolution import Vocabulary, new_tag
from services.tags.spelling import written_tag
from storage.db.engine import Database
from storage.schema.tables import Post
from storage.tags import hand_made, vocabulary

MOST_ON_A_POST = 30


class PostTags:
    """Every method refuses another user's post (NO_POST). Raises TagError."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def set(self, user_id: int, post_id: int, tags: Iterable[str]) -> tuple[str, ...]:
        """Give the post just these tags; returns them in the user's own spellings."""
        return await self._change(user_id, post_id, lambda _: list(tags))

    async def add(self, user_id: int, post_id: int, tags: Iterable[str]) -> tuple[str, ...]:
        return await self._change(user_id, post_id, lambda current: [*current, *tags])

    async def take_off(self, user_id: int, post_id: int, tag: str) -> tuple[str, ...]:
        key = tag_key(tag)
        return await self._change(user_id, post_id, lambda now: [each for each in now if tag_key(each) != key])

    async def taken_off(self, user_id: int, post_id: int) -> tuple[str, ...]:
        """The tags that a person took off the post, the latest last."""
        async with self._database.read() as session:
            post = await session.get(Post, post_id)
            if post is None or post.user_id != user_id:
                raise TagError(TagProblem.NO_POST)
            changes = await hand_made.changes(session, [post_id])
        return tuple(row.name for row in changes.get(post_id, ()) if not row.is_added)

    async def _change(
        self, user_id: int, post_id: int, wanted_of: Callable[[Sequence[str]], Sequence[str]]
    ) -> tuple[str, ...]:
        async with self._database.write() as session:
            post = await hand_made.lock_post(session, user_id, post_id)
            if post is None:
                raise TagError(TagProblem.NO_POST)
            current = {tag_key(tag): tag for tag in post.tags or ()}
            given = wanted_of(list(current.values()))
            # Another program's tag that stays as it is may be longer than one by hand.
            wanted = [tag if tag in current.values() else written_tag(tag) for tag in given]
            if len(wanted) > MOST_ON_A_POST:
                raise TagError(TagProblem.TOO_MANY)
            names = await _own_names(session, user_id, wanted, current)
            added = {key: name for key, name in names.items() if key not in current}
            taken_off = {key: name for key, name in current.items() if key not in names}
            await hand_made.remember(session, post_id, added, taken_off, self._clock())
            _write(post, tuple(names.values()))
        return tuple(names.values())


async def _own_names(
    session: AsyncSession, user_id: int, wanted: Sequence[str], current: Mapping[str, str]
) -> dict[str, str]:
    """Key → name of each tag in the user's vocabulary, where the new ones are added."""
    keys = {tag_key(name): name for name in reversed(wanted)}
    known, targets = await vocabulary.known_tags(session, {user_id: set(keys)})
    own = Vocabulary(user_id, {key: tag for (_, key), tag in known.items()}, targets)
    names: dict[str, str] = {}
    missing = []
    for name in wanted:
        key = tag_key(name)
        tag = own.final(key)
        if tag is not None and tag.is_banned and key not in current:
            raise TagError(TagProblem.BANNED)
        if tag is None:
            missing.append(new_tag(user_id, current.get(key, name), key=key, origin="person"))
        names.setdefault(*((tag.key, tag.name) if tag and key not in current else (key, current.get(key, keys[key]))))
    await vocabulary.add_tags(session, {tag.key: tag for tag in missing}.values())
    return names


#: Columns that a post which a person has tagged needs no more.
_DONE: dict[str, Any] = {
    "tagging_status": "success",
    "tagging_error": None,
    "failure_kind": None,
    "next_attempt_at": None,
    "attempt_trail": None,
    "skipped_at": None,
}


def _write(post: Post, names: tuple[str, ...]) -> None:
    post.tags = list(names)
    # Posts with the same text do not take what a person wanted for this one.
    post.text_key = None
    if names and post.tagging_status in {"failed", "skipped"}:
        for column, value in _DONE.items():
            setattr(post, column, value)
