"""Counts posts' tags in their users' vocabularies, in portions beside the running bot.

One door for all tags: the worker's, another program's, those of before there were vocabularies, and people's changes.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from services.background_task import BackgroundTask
from services.tags.keys import tag_key
from services.tags.names import tag_name
from services.tags.resolution import new_tag
from storage.db.engine import Database
from storage.schema.tag_tables import MOST_LETTERS
from storage.tags import counting, vocabulary, watches
from storage.tags.counting import UncountedPost
from storage.tags.vocabulary import NewTag

#: Posts in one transaction; others may write between two.
PORTION = 300
BETWEEN_PORTIONS = 0.2
#: The next look when all are counted.
LOOK_AGAIN = 2.0


class TagCounting(BackgroundTask):
    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._database = database
        self._clock = clock

    async def work(self) -> float:
        return BETWEEN_PORTIONS if await count_portion(self._database, self._clock()) else LOOK_AGAIN


async def count_portion(database: Database, now: datetime, user_id: int | None = None) -> bool:
    """Count some posts (of one user). Returns whether more may be left."""
    async with database.read() as session:
        # Nearly always none: then no reader of a list waits for the writer.
        if not await counting.has_uncounted(session, user_id):
            return False
    async with database.write() as session:
        posts = await counting.uncounted(session, PORTION, user_id)
        await _count(session, posts, now)
        await counting.mark_counted(session, [post.id for post in posts])
        await watches.note_tagged(session, [post.id for post in posts if post.tags])
    return len(posts) == PORTION


async def _count(session: AsyncSession, posts: Sequence[UncountedPost], now: datetime) -> None:
    present = await counting.present_users(session, {post.user_id for post in posts})
    changes: dict[int, Counter[str]] = {}
    met: dict[tuple[int, str], NewTag] = {}
    for post in posts:
        if post.user_id not in present:
            continue
        counter = changes.setdefault(post.user_id, Counter())
        spellings = {tag_key(tag): tag for tag in reversed(post.tags) if len(tag) <= MOST_LETTERS}
        counter.update(spellings.keys())
        counter.subtract({tag_key(tag) for tag in post.counted})
        for key, spelling in spellings.items():
            if (post.user_id, key) not in met:
                origin = "model" if post.is_ours else "parser"
                met[post.user_id, key] = new_tag(post.user_id, tag_name(spelling), key=key, origin=origin)
    known, _ = await vocabulary.known_tags(session, {user_id: set(keys) for user_id, keys in changes.items()})
    await vocabulary.add_tags(session, [tag for at, tag in met.items() if at not in known])
    for user_id, counter in sorted(changes.items()):
        await vocabulary.count_uses(session, user_id, counter, now)
