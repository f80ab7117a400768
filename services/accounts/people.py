"""Who somebody is to the bot: may they use it, in which language, can they be written to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from services.clock import Clock
from services.text import storable
from storage import outbox
from storage.accounts import people as rows
from storage.db.engine import Database
from storage.schema import parser_tables

#: Languages that the bot speaks.
LANGUAGES = ("en", "ru")
DEFAULT_LANGUAGE = "en"
#: Who was declined may ask again after that: a wrong Decline is no last word.
DECLINED_FOR = timedelta(days=1)


class Access(StrEnum):
    """What a person is to the bot."""

    ADMIN = "admin"
    USER = "user"
    ASKED = "asked"
    STRANGER = "stranger"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who wrote or pressed. `user_id`: their users row; `told`: a stranger was told what the bot is."""

    telegram_id: int
    user_id: int | None
    access: Access
    language: str
    told: bool

    @property
    def is_admin(self) -> bool:
        """Whether they are in ADMIN_IDS."""
        return self.access is Access.ADMIN

    @property
    def may_use(self) -> bool:
        """Whether the bot does what they say."""
        return self.access in {Access.ADMIN, Access.USER}


class People:
    """Users, administrators and strangers."""

    def __init__(self, database: Database, admin_ids: Collection[int], clock: Clock) -> None:
        self._database = database
        self._admin_ids = admin_ids
        self._clock = clock

    @property
    def has_admins(self) -> bool:
        """Whether there is anybody who could let a stranger in."""
        return bool(self._admin_ids)

    async def seen(self, telegram_id: int, *, language_code: str | None, name: str, username: str | None) -> Caller:
        """Somebody wrote or pressed: who they are. Writes only what is new; an administrator gets an account."""
        name, username = storable(name), storable(username) if username else None
        async with self._database.read() as session:
            columns = await parser_tables.optional_columns(session)
            person, account = await rows.find_person_and_account(session, telegram_id, columns, self._clock())
        language = _language(language_code, person.language if person else None)
        is_admin = telegram_id in self._admin_ids
        if not _is_up_to_date(person, language, name, username) or (is_admin and account is None):
            async with self._database.write() as session:
                await self._remember(session, telegram_id, language, name, username)
                if is_admin and account is None:
                    user_id = await self._open_account(session, telegram_id, name, username)
                    account = rows.Account(user_id, may_use=True)
        return Caller(
            telegram_id=telegram_id,
            user_id=account.id if account and (account.may_use or is_admin) else None,
            access=Access.ADMIN if is_admin else _access(person, account),
            language=language,
            told=person is not None and person.told,
        )

    async def _remember(
        self, session: AsyncSession, telegram_id: int, language: str, name: str, username: str | None
    ) -> None:
        known = {"language": language, "name": name, "username": username}
        await rows.save(session, telegram_id, self._clock(), **known, reachable=True)

    async def ask_access(self, caller: Caller, name: str, username: str | None) -> list[int]:
        """A stranger asks to use the bot: returns the administrators who are told so, [] if it is asked or declined."""
        # Without administrators nothing is noted either: a later one would never hear of it.
        if caller.may_use or not self.has_admins:
            return []
        payload = {
            "text": "access",
            "person": caller.telegram_id,
            "name": storable(name),
            "username": storable(username) if username else None,
        }
        now = self._clock()
        async with self._database.write() as session:
            if not await rows.ask(session, caller.telegram_id, now, declined_before=now - DECLINED_FOR):
                return []
            await outbox.tell_admins(session, self._admin_ids, payload, now)
        return sorted(self._admin_ids)

    async def mark_told(self, telegram_id: int) -> None:
        """A stranger was told what the bot is, and need not be again."""
        async with self._database.write() as session:
            await rows.save(session, telegram_id, self._clock(), told=True)

    async def decide_access(self, telegram_id: int, approve: bool) -> bool:
        """An administrator answers a request, and the person is told; False when it was answered before."""
        answer = "approved" if approve else "declined"
        now = self._clock()
        async with self._database.write() as session:
            if not await rows.decide(session, telegram_id, answer, now):
                return False
            if approve:
                person = await rows.find(session, telegram_id)
                name, username = (person.name, person.username) if person else (None, None)
                await self._open_account(session, telegram_id, name, username)
            await outbox.tell_admins(session, [telegram_id], {"text": answer}, now)
        return True

    async def language_of(self, telegram_id: int) -> str:
        """'ru' or 'en'."""
        async with self._database.read() as session:
            person = await rows.find(session, telegram_id)
        return _language(None, person.language if person else None)

    def is_admin(self, telegram_id: int) -> bool:
        """Whether a person is in ADMIN_IDS."""
        return telegram_id in self._admin_ids

    async def mark_unreachable(self, telegram_id: int) -> None:
        """Telegram refuses messages to the person (403)."""
        await self.my_chat(telegram_id, reachable=False)

    async def my_chat(self, telegram_id: int, reachable: bool) -> None:
        """The person blocked the bot, or took it back."""
        async with self._database.write() as session:
            await rows.save(session, telegram_id, self._clock(), reachable=reachable)

    async def may_use(self, session: AsyncSession, telegram_id: int) -> bool:
        """Whether the bot works for a person."""
        account = await self._account(session, telegram_id)
        return telegram_id in self._admin_ids or (account is not None and account.may_use)

    async def account_of(self, session: AsyncSession, telegram_id: int) -> int | None:
        """The users row for which a person's posts are stored; None when they may not use the bot."""
        account = await self._account(session, telegram_id)
        if telegram_id not in self._admin_ids:
            return account.id if account and account.may_use else None
        return account.id if account else await self._open_account(session, telegram_id, None, None)

    async def _account(self, session: AsyncSession, telegram_id: int) -> rows.Account | None:
        return await rows.find_account(
            session, telegram_id, await parser_tables.optional_columns(session), self._clock()
        )

    async def _open_account(
        self, session: AsyncSession, telegram_id: int, name: str | None, username: str | None
    ) -> int:
        return await rows.open_account(session, telegram_id, name=name, username=username, now=self._clock())


def _language(code: str | None, known: str | None) -> str:
    """By Telegram's language code; without one (Telegram may omit it) as before."""
    if code:
        return "ru" if code.lower().startswith("ru") else "en"
    return known if known in LANGUAGES else DEFAULT_LANGUAGE


def _is_up_to_date(person: rows.Known | None, language: str, name: str, username: str | None) -> bool:
    if person is None:
        return False
    known = (person.language, person.name, person.username, person.reachable)
    return known == (language, name, username, True)


def _access(person: rows.Known | None, account: rows.Account | None) -> Access:
    if account is not None and account.may_use:
        return Access.USER
    asked = person.access if person else None
    # 'approved' without an account that may be used: the parser has taken it away since.
    return {"asked": Access.ASKED, "declined": Access.DECLINED}.get(asked or "", Access.STRANGER)
