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
from storage.schema.tables import Person

LANGUAGES = ("en", "ru")
DEFAULT_LANGUAGE = "en"
#: A declined person may ask again after this time.
DECLINED_FOR = timedelta(days=1)


class Role(StrEnum):
    ADMIN = "admin"
    USER = "user"
    ASKED = "asked"
    STRANGER = "stranger"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """The sender of an update. `user_id`: None if they may not use the bot.

    `told`: a stranger was told that the bot is private.
    """

    telegram_id: int
    user_id: int | None
    role: Role
    language: str
    told: bool
    #: Their own; None: the setting TIMEZONE.
    time_zone: str | None = None

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    @property
    def may_use(self) -> bool:
        return self.role in {Role.ADMIN, Role.USER}

    @property
    def owner_id(self) -> int:
        """users.id, or 0 if they have no account."""
        return self.user_id or 0

    @property
    def scope(self) -> int | None:
        """The user whose posts they may see and change; None for an administrator: all posts."""
        return None if self.is_admin else self.user_id


class People:
    def __init__(self, database: Database, admin_ids: Collection[int], clock: Clock) -> None:
        self._database = database
        self._admin_ids = admin_ids
        self._clock = clock

    @property
    def has_admins(self) -> bool:
        return bool(self._admin_ids)

    async def seen(
        self, telegram_id: int, *, language_code: str | None, name: str, username: str | None
    ) -> CurrentUser:
        """Who sent an update. Writes only what has changed; gives an administrator an account."""
        name, username = storable(name), storable(username) if username else None
        async with self._database.read() as session:
            person = await rows.find(session, telegram_id)
            account = await self._account(session, telegram_id)
        language = _language(language_code, person.language if person else None)
        is_admin = telegram_id in self._admin_ids
        if not _is_up_to_date(person, language, name, username) or (is_admin and account is None):
            async with self._database.write() as session:
                known = {"language": language, "name": name, "username": username}
                await rows.save(session, telegram_id, self._clock(), **known, reachable=True)
                if is_admin and account is None:
                    user_id = await self._open_account(session, telegram_id, name, username)
                    account = rows.Account(user_id, may_use=True)
        return self._current(telegram_id, language, person, account)

    async def known(self, telegram_id: int, language_code: str | None) -> CurrentUser:
        """Who uses the bot from another chat. Writes nothing: they may never have written to the bot."""
        async with self._database.read() as session:
            person = await rows.find(session, telegram_id)
            account = await self._account(session, telegram_id)
        return self._current(
            telegram_id, _language(language_code, person.language if person else None), person, account
        )

    def _current(
        self, telegram_id: int, language: str, person: Person | None, account: rows.Account | None
    ) -> CurrentUser:
        is_admin = telegram_id in self._admin_ids
        return CurrentUser(
            telegram_id=telegram_id,
            user_id=account.id if account and (account.may_use or is_admin) else None,
            role=Role.ADMIN if is_admin else _role(person, account),
            language=language,
            told=person is not None and person.told,
            time_zone=person.time_zone if person else None,
        )

    async def ask_access(self, user: CurrentUser, name: str, username: str | None) -> list[int]:
        """A stranger asks for access: returns the administrators who are told; [] if the last request counts."""
        # Without administrators the request is not stored: a later administrator would not be told of it.
        if user.may_use or not self.has_admins:
            return []
        payload = {
            "text": "access",
            "person": user.telegram_id,
            "name": storable(name),
            "username": storable(username) if username else None,
        }
        now = self._clock()
        async with self._database.write() as session:
            if not await rows.ask(session, user.telegram_id, now, declined_before=now - DECLINED_FOR):
                return []
            await outbox.tell_admins(session, self._admin_ids, payload, now)
        return sorted(self._admin_ids)

    async def mark_told(self, telegram_id: int) -> None:
        async with self._database.write() as session:
            await rows.save(session, telegram_id, self._clock(), told=True)

    async def decide_access(self, telegram_id: int, approve: bool, *, after_all: bool = False) -> bool:
        """Approve or decline a request, and tell the person; False if it was decided before.

        `after_all`: a declined one counts as open.
        """
        answer = "approved" if approve else "declined"
        now = self._clock()
        async with self._database.write() as session:
            if not await rows.decide(session, telegram_id, answer, now, after_all=after_all):
                return False
            if approve:
                person = await rows.find(session, telegram_id)
                name, username = (person.name, person.username) if person else (None, None)
                await self._open_account(session, telegram_id, name, username)
            await outbox.tell_admins(session, [telegram_id], {"text": answer}, now)
        return True

    async def language_of(self, telegram_id: int) -> str:
        async with self._database.read() as session:
            person = await rows.find(session, telegram_id)
        return _language(None, person.language if person else None)

    def is_admin(self, telegram_id: int) -> bool:
        return telegram_id in self._admin_ids

    async def set_reachable(self, telegram_id: int, reachable: bool) -> None:
        async with self._database.write() as session:
            await rows.save(session, telegram_id, self._clock(), reachable=reachable)

    async def may_use(self, session: AsyncSession, telegram_id: int) -> bool:
        account = await self._account(session, telegram_id)
        return telegram_id in self._admin_ids or (account is not None and account.may_use)

    async def account_of(self, session: AsyncSession, telegram_id: int) -> int | None:
        """users.id under which a person's posts are stored; None if they may not use the bot."""
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
    """Telegram may omit the code: then the known language."""
    if code:
        return "ru" if code.lower().startswith("ru") else "en"
    return known if known in LANGUAGES else DEFAULT_LANGUAGE


def _is_up_to_date(person: Person | None, language: str, name: str, username: str | None) -> bool:
    if person is None:
        return False
    known = (person.language, person.name, person.username, person.reachable)
    return known == (language, name, username, True)


def _role(person: Person | None, account: rows.Account | None) -> Role:
    if account is not None and account.may_use:
        return Role.USER
    asked = person.access if person else None
    # 'approved' without a usable account: the parser has disabled it since.
    return {"asked": Role.ASKED, "declined": Role.DECLINED}.get(asked or "", Role.STRANGER)
