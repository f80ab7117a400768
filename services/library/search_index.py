import asyncio
import time
from collections.abc import Sequence

import structlog

from services.background_task import BackgroundTask
from services.library.search_words import Stems, post_numbers
from storage.db.engine import Database
from storage.posts import search_index as rows
from storage.posts.search_index import IndexedPost

log = structlog.get_logger(__name__)

#: Posts in one transaction: on SQLite nobody else writes meanwhile.
PORTION = 200
#: Seconds between two looks for changes: a new post has its tags then, and is indexed once.
LOOK_SECONDS = 10.0
#: While there is work, at least so many times as long as a portion took is left to everything else.
REST_FACTOR = 2


class SearchIndex(BackgroundTask):
    """Keeps the index of /find: first the posts that have changed, then older ones that were never indexed.

    Where it stands is in the database: it goes on after a restart. Nothing waits for it.
    """

    def __init__(self, database: Database, *, enabled: bool) -> None:
        super().__init__()
        self._database = database
        self._enabled = enabled

    async def work(self) -> float | None:
        """Index a portion. Returns when to look again; None if the index is off."""
        if not self._enabled:
            await self._switch_off()
            return None
        began = time.monotonic()
        is_more = await self.index_changes() or await self._index_older()
        return REST_FACTOR * (time.monotonic() - began) if is_more else LOOK_SECONDS

    async def index_changes(self) -> bool:
        """Index posts that have changed. Returns whether there may be more."""
        async with self._database.read() as session:
            changes = await rows.changes(session, PORTION)
            if not changes:
                return False
            posts = await rows.posts(session, set(changes.values()))
        words = await _words(posts)
        async with self._database.write() as session:
            await rows.remove(session, changes.values() - words.keys())
            await rows.put(session, words)
            # A post that was changed since it was read has another change noted.
            await rows.forget_changes(session, changes)
        return len(changes) == PORTION

    async def _index_older(self) -> bool:
        async with self._database.read() as session:
            indexed_from = await rows.indexed_from(session)
            if indexed_from == 0:
                return False
            posts = await rows.posts_below(session, indexed_from or 0, PORTION)
        words = await _words(posts)
        async with self._database.write() as session:
            if indexed_from is None:
                await rows.switch_on(session)
                return True
            await rows.put(session, words)
            await rows.move_on(session, posts[-1].id if posts else 0)
            if not posts:
                await rows.complete(session)
        if not posts:
            log.info("search_index_complete")
        return bool(posts)

    async def _switch_off(self) -> None:
        async with self._database.read() as session:
            if await rows.indexed_from(session) is None:
                return
        async with self._database.write() as session:
            await rows.switch_off(session)
        log.info("search_index_removed")


async def _words(posts: Sequence[IndexedPost]) -> dict[int, list[int]]:
    """In a thread: a portion takes longer than the event loop may stand still."""
    return await asyncio.to_thread(_words_of, posts)


def _words_of(posts: Sequence[IndexedPost]) -> dict[int, list[int]]:
    stems = Stems()
    return {post.id: post_numbers(stems, post.user_id, post.channel_id, post.text, post.tags) for post in posts}
