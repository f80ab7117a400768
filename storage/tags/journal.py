"""The journal of changes to vocabularies, and the posts that they touch."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Table, bindparam, func, or_, select, update
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.upsert import upsert
from storage.schema.index_conditions import CHANGES_OPEN
from storage.schema.tables import Post
from storage.schema.tag_tables import TagChange, TagChangePost, TagRow

_POSTS = cast("Table", Post.__table__)
#: Posts whose ids one portion spans, whoever's they are: this bounds a portion's cost.
SPAN = 10_000


@dataclass(frozen=True, slots=True)
class TaggedPost:
    id: int
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TouchedPost:
    id: int
    before: tuple[str, ...]
    after: tuple[str, ...]


async def newest_post(session: AsyncSession) -> int:
    return (await session.execute(select(func.max(Post.id)))).scalar_one() or 0


async def open_changes(session: AsyncSession) -> list[int]:
    query = select(TagChange.id).where(sql(CHANGES_OPEN)).order_by(TagChange.id)
    return list((await session.execute(query)).scalars())


async def last_change(session: AsyncSession, user_id: int, tag_id: int, *, merges: bool = False) -> TagChange | None:
    """The newest change of the tag that is not undone. `merges`: merges of others into it count, too."""
    of_tag = TagChange.tag_id == tag_id
    query = select(TagChange).where(
        TagChange.user_id == user_id,
        or_(of_tag, TagChange.into_id == tag_id) if merges else of_tag,
        TagChange.undone_at.is_(None),
    )
    return (await session.execute(query.order_by(TagChange.id.desc()).limit(1))).scalar_one_or_none()


async def tagged_posts(session: AsyncSession, user_id: int, after: int, until: int) -> list[TaggedPost]:
    """The user's posts with tags whose ids are above `after`, up to `until`."""
    query = select(Post.id, Post.tags).where(
        Post.user_id == user_id, Post.id > after, Post.id <= until, Post.tags.is_not(None)
    )
    return [TaggedPost(row.id, tuple(row.tags)) for row in await session.execute(query.order_by(Post.id)) if row.tags]


async def lock_tags(session: AsyncSession, post_ids: Collection[int]) -> list[TaggedPost]:
    """These posts' tags, their rows locked."""
    query = select(Post.id, Post.tags).where(Post.id.in_(sorted(post_ids))).order_by(Post.id).with_for_update()
    return [TaggedPost(row.id, tuple(row.tags)) for row in await session.execute(query)]


async def set_tags(session: AsyncSession, tags: Mapping[int, Sequence[str]]) -> None:
    rows = [{"post": post_id, "new_tags": list(names)} for post_id, names in sorted(tags.items())]
    if rows:
        statement = update(_POSTS).where(_POSTS.c.id == bindparam("post")).values(tags=bindparam("new_tags"))
        await (await session.connection()).execute(statement, rows)


async def add_touched(session: AsyncSession, change_id: int, posts: Iterable[TouchedPost]) -> None:
    """Note posts that the change touched; of a post touched twice the first note stays."""
    rows = [
        {"change_id": change_id, "post_id": post.id, "before": list(post.before), "after": list(post.after)}
        for post in posts
    ]
    if rows:
        await session.execute(upsert(session, TagChangePost).on_conflict_do_nothing(), rows)


async def touched_again(session: AsyncSession, change_id: int, posts: Iterable[TouchedPost]) -> None:
    """The same for posts that got new tags since: the new note replaces an earlier one. A deleted post has none."""
    for post in posts:
        exists = select(Post.id).where(Post.id == post.id).with_for_update(read=True, key_share=True)
        if (await session.execute(exists)).first() is None:
            continue
        values = {"before": list(post.before), "after": list(post.after)}
        statement = upsert(session, TagChangePost).values(change_id=change_id, post_id=post.id, **values)
        await session.execute(statement.on_conflict_do_update(index_elements=["change_id", "post_id"], set_=values))


async def touched(session: AsyncSession, change_id: int, after: int, most: int) -> list[TouchedPost]:
    query = select(TagChangePost).where(TagChangePost.change_id == change_id, TagChangePost.post_id > after)
    rows = (await session.execute(query.order_by(TagChangePost.post_id).limit(most))).scalars()
    return [TouchedPost(row.post_id, tuple(row.before), tuple(row.after)) for row in rows]


async def later_notes(
    session: AsyncSession, change: TagChange, post_ids: Collection[int]
) -> dict[int, list[tuple[TagChange, TouchedPost]]]:
    """Post → what later changes in force did to it, in their order."""
    query = (
        select(TagChange, TagChangePost)
        .join(TagChangePost, TagChangePost.change_id == TagChange.id)
        .where(
            TagChange.user_id == change.user_id,
            TagChange.id > change.id,
            TagChange.undone_at.is_(None),
            TagChangePost.post_id.in_(sorted(post_ids)),
        )
        .order_by(TagChange.id)
    )
    found: dict[int, list[tuple[TagChange, TouchedPost]]] = {}
    for later, note in await session.execute(query):
        touched_post = TouchedPost(note.post_id, tuple(note.before), tuple(note.after))
        found.setdefault(note.post_id, []).append((later, touched_post))
    return found


async def next_rename(session: AsyncSession, tag_id: int, change_id: int) -> TagChange | None:
    """The first rename of the tag in force that came after this change."""
    query = select(TagChange).where(
        TagChange.tag_id == tag_id,
        TagChange.kind == "rename",
        TagChange.id > change_id,
        TagChange.undone_at.is_(None),
    )
    return (await session.execute(query.order_by(TagChange.id).limit(1))).scalar_one_or_none()


async def merges_through(session: AsyncSession, alias_id: int) -> list[tuple[int, TagRow]]:
    """The merges in force that lead from an alias to its tag: (change, the tag that would stand without it)."""
    found: list[tuple[int, TagRow]] = []
    tag = await session.get(TagRow, alias_id)
    while tag is not None and len(found) < 20:
        query = select(TagChange.id, TagChange.into_id).where(
            TagChange.user_id == tag.user_id,
            TagChange.tag_id == tag.id,
            TagChange.kind == "merge",
            TagChange.undone_at.is_(None),
        )
        row = (await session.execute(query.order_by(TagChange.id.desc()).limit(1))).first()
        if row is None:
            break
        found.append((row.id, tag))
        tag = await session.get(TagRow, row.into_id) if row.into_id else None
    return found
