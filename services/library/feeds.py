import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from sqlalchemy import Row

from services.accounts.people import People
from services.clock import Clock
from services.library.export import ExportedPost, exported_post
from storage.db.engine import Database
from storage.db.locks import lock_number
from storage.reads import feeds, lists

MAX_POSTS = 50
MAX_TAG_LENGTH = 100
SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
#: Characters by which a secret is looked up; the rest (190 bits) is compared in constant time.
BEGINNING = 11


@dataclass(frozen=True, slots=True)
class Feed:
    """The newest tagged posts of a user, of one tag or of all.

    `changed_at`: the latest change of a post, or the creation of the feed; `language`: 'ru' or 'en'.
    """

    posts: list[ExportedPost]
    tag: str | None
    changed_at: datetime
    language: str


class Feeds:
    """RSS feeds behind secret links. `public_url`: the HTTP server's public address; without it there are no links."""

    def __init__(self, database: Database, people: People, public_url: str | None, clock: Clock) -> None:
        self._database = database
        self._people = people
        self.public_url = public_url
        self._clock = clock

    async def link(self, user_id: int, telegram_id: int, tag: str | None = None) -> str | None:
        if self.public_url is None:
            return None
        async with self._database.write() as session:
            await lock_number(session, telegram_id)
            secret = await feeds.secret_of(session, user_id, telegram_id)
            if secret is None:
                secret = secrets.token_urlsafe(32)
                await feeds.set_secret(session, user_id, telegram_id, secret, self._clock())
        return f"{self.public_url}/feeds/{feed_path(secret, tag)}"

    async def renew(self, user_id: int, telegram_id: int) -> None:
        async with self._database.write() as session:
            await lock_number(session, telegram_id)
            await feeds.set_secret(session, user_id, telegram_id, secrets.token_urlsafe(32), self._clock())

    async def has_posts(self, user_id: int, tag: str) -> bool:
        return bool(await self._newest(user_id, tag, 1))

    async def read(self, secret: str, tag: str | None) -> Feed | None:
        """The feed of a link; None if the secret is unknown, or its user may no longer use the bot."""
        owner = await self._owner(secret)
        if owner is None:
            return None
        rows = await self._newest(owner.id, tag, MAX_POSTS)
        changes = [at for row in rows for at in _changes(row)]
        language = await self._people.language_of(owner.telegram_id)
        return Feed([exported_post(row) for row in rows], tag, max(changes, default=owner.created_at), language)

    async def _newest(self, user_id: int, tag: str | None, limit: int) -> Sequence[Row[Any]]:
        async with self._database.read() as session:
            await lists.begin_view(session)
            return await lists.newest_tagged(session, user_id, tag, limit)

    async def _owner(self, secret: str) -> Row[Any] | None:
        if not SECRET.fullmatch(secret):
            return None
        async with self._database.read() as session:
            found = await feeds.beginning_with(session, secret[:BEGINNING])
            owner = next((row for row in found if hmac.compare_digest(row.secret.encode(), secret.encode())), None)
            if owner is None or not await self._people.may_use(session, owner.telegram_id):
                return None
        return owner


def tag_in(text: str) -> str | None:
    """PURE: the tag of the feed whose link stands in the text; the inverse of `feed_path`."""
    found = re.search(r"/feeds/[\w-]+/(\S+)\.xml", text)
    return unquote(found[1]) if found else None


def feed_path(secret: str, tag: str | None) -> str:
    return f"{secret}.xml" if tag is None else f"{secret}/{quote(tag, safe='')}.xml"


def _changes(row: Any) -> list[datetime]:
    return [at for at in (row.posted_at, row.parsed_at, row.last_tagging_attempt) if at is not None]
