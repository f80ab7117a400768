import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.accounts.people import People
from services.clock import Clock
from storage.accounts import tokens
from storage.db.engine import Database
from storage.schema.tables import TokenRow
from storage.schema.types import as_text

#: Lets people and secret scanners recognise a token.
PREFIX = "mtk_"
SHOWN = 10


class UnknownPersonError(LookupError):
    """No person with this Telegram id may use the bot."""


@dataclass(frozen=True, slots=True)
class ListedToken:
    id: int
    prefix: str
    created_at: datetime
    telegram_id: int
    name: str | None


class Tokens:
    """API tokens, each for the rows of one user. Only a hash is stored; a random token needs no salt."""

    def __init__(self, database: Database, people: People, clock: Clock) -> None:
        self._database = database
        self._people = people
        self._clock = clock

    async def create(self, telegram_id: int) -> str:
        """A new token for a user; it cannot be shown again.

        Raises:
            UnknownPersonError: there is no such user, or they may not use the bot.
        """
        token = PREFIX + secrets.token_urlsafe(32)
        async with self._database.write() as session:
            user_id = await self._people.account_of(session, telegram_id)
            if user_id is None:
                raise UnknownPersonError(telegram_id)
            row = TokenRow(user_id=user_id, telegram_id=telegram_id, token_hash=_hash(token), prefix=token[:SHOWN])
            row.created_at = self._clock()
            session.add(row)
        return token

    async def user_of(self, token: str) -> int | None:
        """users.id of the token's user; None if the token is unknown or its user may not use the bot."""
        if not token.startswith(PREFIX):
            return None
        async with self._database.read() as session:
            owner = await tokens.owner_of(session, _hash(token))
            if owner is None or not await self._people.may_use(session, owner.telegram_id):
                return None
        return int(owner.id)

    async def list(self) -> list[ListedToken]:
        async with self._database.read() as session:
            rows = await tokens.listed(session)
        return [
            ListedToken(row.id, row.prefix, row.created_at, row.telegram_id, _name(row.username or row.first_name))
            for row in rows
        ]

    async def revoke(self, token_id: int) -> bool:
        async with self._database.write() as session:
            return await tokens.revoke(session, token_id)


def _name(value: Any) -> str | None:
    """The name without control characters: it is printed in a terminal."""
    name = as_text(value)
    return "".join(char for char in name if char.isprintable()) if name else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
