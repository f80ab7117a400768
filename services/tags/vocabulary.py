"""The use cases of a person's vocabulary: look, rename, merge, ban, undo."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.tags.changes import RESTORING, REWRITING, rewrite_portion
from services.tags.counting import count_portion
from services.tags.errors import TagError, TagProblem
from services.tags.keys import plain_spelling, tag_key
from services.tags.resolution import new_tag
from services.tags.spelling import written_tag
from services.tags.stems import stems
from storage.db.engine import Database
from storage.schema.tag_tables import TagChange, TagRow
from storage.tags import journal, lists, vocabulary
from storage.tags.lists import PostOfTag, TagCard

#: Portions that are rewritten before the person is answered; the rest follows in the background.
AT_ONCE = 3
_LOOKED_THROUGH = 1000


@dataclass(frozen=True, slots=True)
class TagPage:
    tags: tuple[TagCard, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Changed:
    """A change that was made, and the tag as it is now (of a merge: the one that stays)."""

    change_id: int
    tag: TagCard


class Vocabularies:
    """Tags are named by their ids; every method refuses another user's (NOT_FOUND). Raises TagError."""

    def __init__(self, database: Database, clock: Callable[[], datetime], wake: Callable[[], None]) -> None:
        """`wake`: the background task that goes on rewriting posts (`TagRewriting`)."""
        self._database = database
        self._clock = clock
        self._wake = wake

    async def tags(self, user_id: int, search: str = "", *, offset: int = 0, limit: int = 10) -> TagPage:
        """A page of the user's tags, the most used first. `search`: a part of a tag."""
        await self._count(user_id)
        plain = " ".join(plain_spelling(search).removeprefix("#").split())
        async with self._database.read() as session:
            found, total = await lists.cards(
                session, user_id, search=plain, key=plain.replace(" ", "").replace("-", ""), offset=offset, limit=limit
            )
        return TagPage(tuple(found), total)

    async def tag(self, user_id: int, tag_id: int) -> TagCard:
        """The tag with the number of its posts: what a change of it would touch."""
        await self._count(user_id)
        async with self._database.read() as session:
            return await _card(session, user_id, tag_id)

    async def find(self, user_id: int, name: str, *, or_id: bool = False) -> TagCard:
        """The tag that this spelling stands for, after its alias. `or_id`: it may be the tag's id instead."""
        await self._count(user_id)
        async with self._database.read() as session:
            tag = await _spelled(session, user_id, name, or_id=or_id)
            return await _card(session, user_id, tag.merged_into or tag.id)

    async def last_change(self, user_id: int, name: str) -> int:
        """The last change of the tag with this spelling or id, to be undone; a merge into it counts, too."""
        async with self._database.read() as session:
            tag = await _spelled(session, user_id, name, or_id=True)
            change = await journal.last_change(session, user_id, tag.id)
            if change is None or tag.merged_into is None:
                change = await journal.last_change(session, user_id, tag.merged_into or tag.id, merges=True)
            if change is None:
                raise TagError(TagProblem.NOTHING_TO_UNDO)
            return change.id

    async def newest_posts(self, user_id: int, tag_id: int, limit: int = 5) -> list[PostOfTag]:
        async with self._database.read() as session:
            tag = await _own(session, user_id, tag_id)
            keys = {tag.key, *await vocabulary.alias_keys(session, tag.id)}
            found: list[int] = []
            before: tuple[datetime, int] | None = None
            while len(found) < limit:
                some = await lists.tags_of_posts(session, user_id, before, _LOOKED_THROUGH)
                found += [post_id for _, post_id, tags in some if any(tag_key(name) in keys for name in tags)]
                if len(some) < _LOOKED_THROUGH:
                    break
                before = some[-1][:2]
            return await lists.posts_by_id(session, found[:limit])

    async def rename(self, user_id: int, tag_id: int, name: str) -> Changed:
        """Show the tag under another name, on its posts too. What models call it as before gives the new name."""
        name = written_tag(name)

        async def change(session: AsyncSession) -> tuple[TagChange, int]:
            tag = await _own(session, user_id, tag_id)
            before = await _rename(session, tag, name)
            return await self._note(session, "rename", tag, before, rewrites=True), tag.id

        return await self._make(user_id, change)

    async def merge(self, user_id: int, tag_id: int, into: int | str) -> Changed:
        """Make the tag an alias of another, named by its id or by any spelling, for ever: posts and later answers."""
        name = written_tag(into) if isinstance(into, str) else None

        async def change(session: AsyncSession) -> tuple[TagChange, int]:
            tag = await _own(session, user_id, tag_id)
            target = await _own(session, user_id, into) if isinstance(into, int) else None
            if target is None and name is not None:
                target = await _named(session, user_id, name)
            if target is None or target.id == tag.id:
                raise TagError(TagProblem.ITSELF)
            if target.state == "banned":
                raise TagError(TagProblem.BANNED)
            merged = [tag, *await vocabulary.aliases_of(session, tag.id)]
            before = {"merged_into": {str(row.id): row.merged_into for row in merged}}
            for row in merged:
                row.merged_into = target.id
            return await self._note(session, "merge", tag, before, into=target, rewrites=True), target.id

        return await self._make(user_id, change)

    async def ban(self, user_id: int, tag_id: int, *, take_off: bool = False) -> Changed:
        """Give no post this tag again. `take_off`: take it off the posts that have it."""

        async def change(session: AsyncSession) -> tuple[TagChange, int]:
            tag = await _own(session, user_id, tag_id)
            if tag.state == "banned":
                raise TagError(TagProblem.BANNED)
            before, tag.state = {"state": tag.state}, "banned"
            return await self._note(session, "ban", tag, before, rewrites=take_off), tag.id

        return await self._make(user_id, change)

    async def undo(self, user_id: int, change_id: int | None = None, *, tag_id: int | None = None) -> Changed:
        """Take a change back, or the last one of a tag: the vocabulary, and the posts exactly as they were."""

        async def change(session: AsyncSession) -> tuple[TagChange, int]:
            found = None
            if change_id is not None:
                found = await session.get(TagChange, change_id, with_for_update=True)
            elif tag_id is not None:
                found = await journal.last_change(session, user_id, tag_id)
            if found is None or found.user_id != user_id or found.undone_at is not None:
                raise TagError(TagProblem.NOTHING_TO_UNDO)
            last = await journal.last_change(session, user_id, found.tag_id)
            if last is not None and last.id != found.id:
                raise TagError(TagProblem.CHANGED_SINCE)
            await _undo(session, found)
            found.undone_at, found.step, found.at_post = self._clock(), RESTORING, 0
            found.until_post = await journal.newest_post(session)
            return found, found.tag_id

        return await self._make(user_id, change)

    async def _make(self, user_id: int, change: Callable[[AsyncSession], Awaitable[tuple[TagChange, int]]]) -> Changed:
        async with self._database.write() as session:
            made, tag_id = await change(session)
            change_id = made.id
        for _ in range(AT_ONCE):
            if not await rewrite_portion(self._database, change_id):
                break
        else:
            self._wake()
        await self._count(user_id)
        async with self._database.read() as session:
            return Changed(change_id, await _card(session, user_id, tag_id))

    async def _note(
        self,
        session: AsyncSession,
        kind: str,
        tag: TagRow,
        before: dict[str, Any],
        *,
        rewrites: bool,
        into: TagRow | None = None,
    ) -> TagChange:
        change = TagChange(
            user_id=tag.user_id,
            kind=kind,
            tag_id=tag.id,
            into_id=into.id if into else None,
            before=before,
            made_at=self._clock(),
            step=REWRITING if rewrites else None,
            until_post=await journal.newest_post(session),
            at_post=0,
        )
        session.add(change)
        await session.flush()
        return change

    async def _count(self, user_id: int) -> None:
        """Count what has come lately; a long backlog is left to the background task."""
        for _ in range(AT_ONCE):
            if not await count_portion(self._database, self._clock(), user_id):
                return


async def _own(session: AsyncSession, user_id: int, tag_id: int) -> TagRow:
    """The tag; of an alias the tag that it stands for."""
    tag = await session.get(TagRow, tag_id)
    if tag is not None and tag.user_id == user_id and tag.merged_into is not None:
        tag = await session.get(TagRow, tag.merged_into)
    if tag is None or tag.user_id != user_id:
        raise TagError(TagProblem.NOT_FOUND)
    return tag


async def _spelled(session: AsyncSession, user_id: int, name: str, *, or_id: bool) -> TagRow:
    """The row of this key, which may be an alias."""
    tag = await vocabulary.find_tag(session, user_id, tag_key(name))
    if tag is None and or_id and name.isascii() and name.isdigit() and int(name) < 2**63:
        tag = await session.get(TagRow, int(name))
    if tag is None or tag.user_id != user_id:
        raise TagError(TagProblem.NOT_FOUND)
    return tag


async def _named(session: AsyncSession, user_id: int, name: str) -> TagRow:
    """The tag of this spelling, added if the user has none."""
    key = tag_key(name)
    tag = await vocabulary.find_tag(session, user_id, key)
    if tag is None:
        await vocabulary.add_tags(session, [new_tag(user_id, name, key=key, origin="person")])
        tag = await vocabulary.find_tag(session, user_id, key)
    if tag is None:
        raise TagError(TagProblem.NOT_FOUND)
    return tag if tag.merged_into is None else await session.get_one(TagRow, tag.merged_into)


async def _card(session: AsyncSession, user_id: int, tag_id: int) -> TagCard:
    card = await lists.card(session, user_id, tag_id)
    if card is None:
        raise TagError(TagProblem.NOT_FOUND)
    return card


async def _rename(session: AsyncSession, tag: TagRow, name: str) -> dict[str, Any]:
    """Change name and key; the former key becomes an alias. Returns what Undo needs."""
    key = tag_key(name)
    before: dict[str, Any] = {"name": tag.name, "key": tag.key, "new_name": name, "alias": None, "made_alias": False}
    if key != tag.key:
        alias = await vocabulary.find_tag(session, tag.user_id, key)
        if alias is not None and alias.merged_into != tag.id:
            raise TagError(TagProblem.TAKEN)
        before["made_alias"] = alias is None
        if alias is None:
            # Words that are no key: the keys are exchanged.
            alias = TagRow(user_id=tag.user_id, key=key, name=tag.name, uses=0, origin=tag.origin, merged_into=tag.id)
            session.add(alias)
            await session.flush()
        before["alias"] = alias.id
        await vocabulary.exchange_keys(session, tag, alias)
    await vocabulary.rename(session, tag, name, stems(name))
    return before


async def _undo(session: AsyncSession, change: TagChange) -> None:
    tag, before = await session.get_one(TagRow, change.tag_id), change.before
    if change.kind == "ban":
        tag.state = before["state"]
    elif change.kind == "rename":
        if before["alias"] is not None:
            alias = await session.get_one(TagRow, before["alias"])
            await vocabulary.exchange_keys(session, tag, alias)
            if before["made_alias"]:
                await session.delete(alias)
        await vocabulary.rename(session, tag, before["name"], stems(before["name"]))
    else:
        into = tag.merged_into
        for tag_id, merged_into in before["merged_into"].items():
            row = await session.get(TagRow, int(tag_id))
            # An alias that has left since, by an Undo of its own, stays as it is.
            if row is not None and row.merged_into == into:
                row.merged_into = merged_into
