"""RSS feeds of a user's tagged posts, by a link that holds a secret."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy import Row

from services.accounts.people import People
from services.clock import Clock
from services.library.export import ToldPost, told
from storage.db.engine import Database
from storage.db.locks import lock_number
from storage.reads import feeds, lists

#: Posts in a feed, and characters in the tag of a link.
LONGEST, LONGEST_TAG = 50, 100
SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
#: By so much of it a secret is looked up; the rest (190 bits) is compared in constant time.
BEGINNING = 11


@dataclass(frozen=True, slots=True)
class Feed:
    """The newest tagged posts of a user, of one tag or of all.

    `changed_at`: when the last of them did, or the feed was made; `language`: the user's, 'ru' or 'en'.
    """

    posts: list[ToldPost]
    tag: str | None
    changed_at: datetime
    language: str


class Feeds:
    """Links, and what they lead to. `public_url`: where users reach the HTTP server; without it there are no links."""

    def __init__(self, database: Database, people: People, public_url: str | None, clock: Clock) -> None:
        self._database = database
        self._people = people
        self._public_url = public_url
        self._clock = clock

    @property
    def public_url(self) -> str | None:
        """The address that the links begin with."""
        return self._public_url

    async def link(self, user_id: int, telegram_id: int, tag: str | None = None) -> str | None:
        """The address of a user's feed; None without `public_url`."""
        if self._public_url is None:
            return None
        async with self._database.write() as session:
            await lock_number(session, telegram_id)
            secret = await feeds.secret_of(session, user_id, telegram_id)
            if secret is None:
                secret = secrets.token_urlsafe(32)
                await feeds.set_secret(session, user_id, telegram_id, secret, self._clock())
        return f"{self._public_url}/feeds/{feed_path(secret, tag)}"

    async def renew(self, user_id: int, telegram_id: int) -> None:
        """Make the links so far worthless."""
        async with self._database.write() as session:
            await lock_number(session, telegram_id)
            await feeds.set_secret(session, user_id, telegram_id, secrets.token_urlsafe(32), self._clock())

    async def has_posts(self, user_id: int, tag: str) -> bool:
        """Whether there is anything with that tag."""
        return bool(await self._newest(user_id, tag, 1))

    async def read(self, secret: str, tag: str | None) -> Feed | None:
        """What a link leads to; None: it is worthless, or its user may not use the bot (any more)."""
        owner = await self._owner(secret)
        if owner is None:
            return None
        rows = await self._newest(owner.id, tag, LONGEST)
        changes = [at for row in rows for at in _changes(row)]
        language = await self._people.language_of(owner.telegram_id)
        return Feed([told(row) for row in rows], tag, max(changes, default=owner.created_at), language)

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


def feed_path(secret: str, tag: str | None) -> str:
    """PURE: the part of a link that is a user's."""
    return f"{secret}.xml" if tag is None else f"{secret}/{quote(tag, safe='')}.xml"


def _changes(row: Any) -> list[datetime]:
    return [at for at in (row.posted_at, row.parsed_at, row.last_tagging_attempt) if at is not None]
