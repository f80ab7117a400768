"""Rewrites posts after a change of a vocabulary, and restores them after Undo, in portions.

The change itself is in force at once: later answers follow it. What was broken off goes on after a restart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from services.background_task import BackgroundTask
from services.tags.keys import tag_key
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


#: A later change in force, and what it did to a post.
Note = tuple[TagChange, TouchedPost]


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
    later = await journal.later_notes(session, change, list(locked))
    back: dict[int, tuple[str, ...]] = {}
    for post in (each for each in noted if each.id in locked):
        notes = later.get(post.id, [])
        if notes and _is_unbroken(post, notes, locked[post.id]):
            back[post.id] = await _repeat(session, post.before, notes)
        else:
            back[post.id] = restored(locked[post.id], post.before, post.after, is_old, is_new)
    await journal.set_tags(session, {at: tags for at, tags in back.items() if tags != locked[at]})
    if len(noted) == PORTION:
        change.at_post = noted[-1].id
        return
    # Posts that came later have the name, too, and the journal does not know them.
    change.step = SEARCHING if change.kind == "rename" else None
    change.at_post = 0


def _is_unbroken(post: TouchedPost, later: Sequence[Note], now: tuple[str, ...]) -> bool:
    """Whether nothing but these changes has changed the post's tags since."""
    befores, afters = [note.before for _, note in later], [note.after for _, note in later]
    return [post.after, *afters] == [*befores, now]


async def _repeat(session: AsyncSession, tags: tuple[str, ...], later: Sequence[Note]) -> tuple[str, ...]:
    """The tags after the later changes without the one that is undone; their Undo then restores these."""
    for change, note in later:
        before, tags = tags, await _repeated(session, change, tags)
        await journal.touched_again(session, change.id, [TouchedPost(note.id, before, tags)])
    return tags


async def _repeated(session: AsyncSession, change: TagChange, tags: tuple[str, ...]) -> tuple[str, ...]:
    replacement = await _replacement(session, change)
    if change.kind == "rename":
        return replaced(tags, replacement.is_old, change.before["new_name"], replacement.is_new)
    if change.kind == "ban":
        return replaced(tags, replacement.is_old, None, replacement.is_new)
    rows = [await session.get(TagRow, int(tag_id)) for tag_id in change.before["merged_into"]]
    # A tag whose own merge was undone is no alias any more.
    old = {row.key for row in rows if row is not None and row.merged_into is not None}
    into = await session.get_one(TagRow, change.into_id)
    renamed = await journal.next_rename(session, into.id, change.id)
    # The target's name then.
    name = into.name if renamed is None else renamed.before["name"]
    return replaced(tags, has_key(old), name, has_key({tag_key(name)}))


async def _merged(session: AsyncSession, change: TagChange) -> tuple[set[str], set[str], TagRow]:
    """Keys of merged tags, keys of their targets, and the tag that each target is now."""
    # The tag's own aliases lead to the other tag since: the journal knows them.
    # The alias that a rename made is gone after its Undo.
    merged = [await session.get(TagRow, int(tag_id)) for tag_id in change.before["merged_into"]]
    into = await session.get_one(TagRow, change.into_id)
    final = into if into.merged_into is None else await session.get_one(TagRow, into.merged_into)
    return {tag.key for tag in merged if tag is not None}, {into.key, final.key}, final
