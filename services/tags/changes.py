"""Rewrites posts after a change of a vocabulary, and restores them after Undo, in portions.

The change itself is in force at once: later answers follow it. What was broken off goes on after a restart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from services.background_task import BackgroundTask
from services.tags.rewriting import IsTag, has_key, replaced, restored
from storage.db.engine import Database
from storage.schema.tag_tables import TagChange, TagRow
from storage.tags import journal, vocabulary
from storage.tags.journal import SPAN, TouchedPost

#: Posts that one transaction rewrites; others may write between two.
PORTION = 200
LOOK_AGAIN = 60.0
REWRITING, RESTORING, SEARCHING = "rewriting", "restoring", "searching"


class TagRewriting(BackgroundTask):
    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    async def work(self) -> float:
        async with self._database.read() as session:
            waiting = await journal.open_changes(session)
        for change_id in waiting:
            while not self.stopping.is_set() and await rewrite_portion(self._database, change_id):
                pass
        return LOOK_AGAIN


@dataclass(frozen=True, slots=True)
class Replacement:
    """Which tags are replaced by which name (None: taken off), and which stand for it already."""

    is_old: IsTag
    name: str | None
    is_new: IsTag


async def rewrite_portion(database: Database, change_id: int) -> bool:
    """Rewrite or restore some posts of a change. Returns whether posts are left."""
    async with database.read() as session:
        change = await session.get(TagChange, change_id)
        if change is None or change.step is None:
            return False
        # Read before the transaction: other writers need not wait for a long search.
        seen = (change.step, change.at_post)
        found = [] if change.step == RESTORING else await _posts_to_rewrite(session, change)
    async with database.write() as session:
        change = await session.get(TagChange, change_id, with_for_update=True)
        if change is None or change.step is None:
            return False
        if change.step == RESTORING:
            await _restore(session, change)
        elif (change.step, change.at_post) == seen:
            await _rewrite(session, change, found)
        return change.step is not None


async def _posts_to_rewrite(session: AsyncSession, change: TagChange) -> list[int]:
    """Ids of the first posts in the next span of ids that have an old tag."""
    replacement = await _replacement(session, change)
    posts = await journal.tagged_posts(session, change.user_id, change.at_post, change.at_post + SPAN)
    return [post.id for post in posts if any(map(replacement.is_old, post.tags))][:PORTION]


async def _rewrite(session: AsyncSession, change: TagChange, found: Sequence[int]) -> None:
    with_name = await _replacement(session, change)
    changed: list[TouchedPost] = []
    for post in await journal.lock_tags(session, found):
        after = replaced(post.tags, with_name.is_old, with_name.name, with_name.is_new)
        if after != post.tags:
            changed.append(TouchedPost(post.id, post.tags, after))
    await journal.set_tags(session, {post.id: post.after for post in changed})
    if change.step == REWRITING:
        await journal.add_touched(session, change.id, changed)
    change.at_post = found[-1] if len(found) == PORTION else change.at_post + SPAN
    if change.at_post >= change.until_post:
        change.step = None


async def _replacement(session: AsyncSession, change: TagChange) -> Replacement:
    tag = await session.get_one(TagRow, change.tag_id)
    if change.step == SEARCHING:
        undone = change.before["new_name"]
        return Replacement(lambda name: name == undone, tag.name, has_key({tag.key}))
    if change.kind == "merge":
        old, new, final = await _merged(session, change)
        return Replacement(has_key(old), final.name, has_key(new))
    family = has_key({tag.key, *await vocabulary.alias_keys(session, tag.id)})
    return Replacement(family, tag.name if change.kind == "rename" else None, lambda _: False)


async def _restore(session: AsyncSession, change: TagChange) -> None:
    noted = await journal.touched(session, change.id, change.at_post, PORTION)
    locked = {post.id: post.tags for post in await journal.lock_tags(session, [post.id for post in noted])}
    is_old, is_new = has_key(()), has_key(())
    if change.kind == "merge":
        old, new, _ = await _merged(session, change)
        is_old, is_new = has_key(old), has_key(new)
    back = {
        post.id: restored(locked[post.id], post.before, post.after, is_old, is_new)
        for post in noted
        if post.id in locked
    }
    await journal.set_tags(session, {at: tags for at, tags in back.items() if tags != locked[at]})
    if len(noted) == PORTION:
        change.at_post = noted[-1].id
        return
    # Posts that came later have the name, too, and the journal does not know them.
    change.step = SEARCHING if change.kind == "rename" else None
    change.at_post = 0


async def _merged(session: AsyncSession, change: TagChange) -> tuple[set[str], set[str], TagRow]:
    """Keys of merged tags, keys of their targets, and the tag that each target is now."""
    # The tag's own aliases lead to the other tag since: the journal knows them.
    # The alias that a rename made is gone after its Undo.
    merged = [await session.get(TagRow, int(tag_id)) for tag_id in change.before["merged_into"]]
    into = await session.get_one(TagRow, change.into_id)
    final = into if into.merged_into is None else await session.get_one(TagRow, into.merged_into)
    return {tag.key for tag in merged if tag is not None}, {into.key, final.key}, final
