from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from services.library.bot_queries import PAGE_SIZE, BotQueries, PostCard
from services.library.search_words import SearchQuery, channel_word, number, read_query, tag_numbers, user_word
from storage.db.engine import Database
from storage.posts import search_index
from storage.reads import overview, search
from storage.reads.search import Wanted

RELATED = 5
#: A tag with more posts than this is too common to relate posts.
COMMON = 1000


class SearchOffError(Exception):
    """The search index is switched off."""


@dataclass(frozen=True, slots=True)
class FoundPage:
    """A page of posts, the newest first. `is_partial`: older posts are not in the index yet."""

    posts: tuple[PostCard, ...]
    page: int = 1
    has_more: bool = False
    is_partial: bool = False


class Search:
    """Finds posts of a user by words, tags and channels, and lists the newest."""

    def __init__(self, database: Database, queries: BotQueries, *, enabled: bool) -> None:
        self._database = database
        self._queries = queries
        self.enabled = enabled

    async def find(self, user_id: int, query: SearchQuery, page: int, size: int = PAGE_SIZE) -> FoundPage:
        """Raises SearchOffError."""
        async with self._database.read() as session:
            wanted = await self._wanted(session, user_id, query)
            ids = await search.newest(session, user_id, wanted, size + 1, (page - 1) * size)
            is_partial = await search_index.indexed_from(session) != 0
        return await self._page(ids, page, size, is_partial=is_partial)

    async def latest(self, user_id: int, page: int, size: int = PAGE_SIZE) -> FoundPage:
        async with self._database.read() as session:
            ids = await search.newest(session, user_id, None, size + 1, (page - 1) * size)
        return await self._page(ids, page, size)

    async def conditions(self, session: AsyncSession, user_id: int, text: str) -> list[ColumnElement[bool]]:
        """For a query of posts. Raises SearchOffError or SinceError."""
        return search.matches(session, await self._wanted(session, user_id, read_query(text)))

    async def related(self, post_id: int, user_id: int | None) -> FoundPage | None:
        """The posts of the same user that share the post's rarest tags; None if there is no such post.

        `user_id`: whose post it must be (None: anybody's). Raises SearchOffError.
        """
        if not self.enabled:
            raise SearchOffError
        async with self._database.read() as session:
            post = await overview.find_post(session, post_id, user_id)
            if post is None:
                return None
            tagged = [
                await search.newest(session, post.user_id, Wanted({number(user_word(post.user_id)), tag}), COMMON, 0)
                for tag in dict.fromkeys(tag_numbers(post.tags))
            ]
        return FoundPage(tuple(await self._queries.posts(closest(post_id, tagged))))

    async def _wanted(self, session: AsyncSession, user_id: int, query: SearchQuery) -> Wanted:
        if not self.enabled:
            raise SearchOffError
        without = set(query.without)
        if query.without_channels:
            without.update(_numbers(await search.channel_ids(session, query.without_channels)))
        one_of = _numbers(await search.channel_ids(session, query.channels)) if query.channels else None
        return Wanted({number(user_word(user_id)), *query.words}, one_of, without, query.since)

    async def _page(self, ids: Sequence[int], page: int, size: int, *, is_partial: bool = False) -> FoundPage:
        posts = await self._queries.posts(ids[:size])
        return FoundPage(tuple(posts), page, len(ids) > size, is_partial)


def closest(post_id: int, tagged: Iterable[Sequence[int]]) -> list[int]:
    """PURE: posts that share the most and rarest tags with a post. `tagged`: of each of its tags, the posts."""
    scores: Counter[int] = Counter()
    for posts in tagged:
        if len(posts) < COMMON:
            # Counter adds numbers of any kind.
            scores.update({other: 1 / len(posts) for other in posts if other != post_id})
    ordered = sorted(scores, key=lambda other: (-scores[other], -other))
    return ordered[:RELATED]


def _numbers(channel_ids: Iterable[int]) -> list[int]:
    return [number(channel_word(channel_id)) for channel_id in channel_ids]
