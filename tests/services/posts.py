"""Posts for the tagging engine, and what came of them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from sandbox.provider import expected_tags
from services.tags.keys import tag_key
from storage.db.engine import Database
from storage.schema.tables import OutboxRow, Post
from tests.storage.rows import add_posts, add_user

WORDS = ("метро", "концерт", "погода", "рецепт", "музей", "выборы", "ремонт", "футбол", "космос", "экономика")


async def fill(database: Database, count: int, **values: object) -> list[str]:
    """`count` posts of one user, each with words of its own."""
    texts = [
        f"{WORDS[n % 10]} {WORDS[n // 10 % 10]}: событие{chr(1072 + n % 32) * 4} открытие города" for n in range(count)
    ]
    async with database.write() as session:
        await add_user(session, 1)
        for number, text in enumerate(texts, start=1):
            await add_posts(session, 1, 1, first=number, **{"text": text, **values})
    return texts


def keys(tags: Iterable[str]) -> list[str]:
    """The tags' keys: a user's vocabulary gives them names of its own."""
    return [tag_key(tag) for tag in tags]


def own_tags(post: Post) -> bool:
    return keys(post.tags or ()) == keys(expected_tags(post.text or ""))


async def tell_kinds(database: Database) -> list[tuple[str, int]]:
    async with database.read() as session:
        rows = await session.execute(select(OutboxRow.kind, OutboxRow.telegram_id).order_by(OutboxRow.id))
        return [(kind, who) for kind, who in rows]
