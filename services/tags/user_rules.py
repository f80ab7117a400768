"""The use cases of a person's rules for tags: of all their channels, and of one."""

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from services.tags.rules import Mode, RuleError, RuleProblem, Rules, RuleSettings, checked, effective
from storage.db.engine import Database
from storage.reads import channel_cards
from storage.schema.tag_tables import TagRules
from storage.tags import rules as rows
from storage.tags import vocabulary

_NAMES = tuple(field.name for field in fields(RuleSettings))


@dataclass(frozen=True, slots=True)
class RuledChannel:
    id: int
    title: str
    is_overridden: bool


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """`settings`: what is set for all channels, or for this one; `rules`: what is in force with it."""

    settings: RuleSettings
    rules: Rules
    channel: RuledChannel | None = None


class UserRules:
    """`channel_id` (channels.id): one channel's rules over the user's own. Raises RuleError."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def get(self, user_id: int, channel_id: int | None = None) -> RulesInForce:
        async with self._database.read() as session:
            return await _in_force(session, user_id, channel_id)

    async def put(self, user_id: int, settings: RuleSettings, channel_id: int | None = None) -> RulesInForce:
        """Set just these; what is None is as for all channels, or as at first."""
        written = checked(settings)
        async with self._database.write() as session:
            # Before what is checked: another change may not come between.
            if not await rows.lock_user(session, user_id):
                raise RuleError(RuleProblem.NO_USER)
            current = await _in_force(session, user_id, channel_id)
            if written.mode == Mode.ONLY and current.settings.mode != Mode.ONLY:
                await check_has_tags(session, user_id)
            if channel_id is not None and written == RuleSettings():
                await rows.remove(session, user_id, channel_id)
            else:
                await rows.set_rules(session, user_id, channel_id, asdict(written), self._clock())
        return await self.get(user_id, channel_id)

    async def would_be(self, user_id: int, settings: RuleSettings, channel_id: int | None = None) -> Rules:
        """The rules that would be in force with these settings."""
        written = checked(settings)
        async with self._database.read() as session:
            if channel_id is None:
                return effective(written)
            await _channel(session, user_id, channel_id)
            return effective((await _in_force(session, user_id, None)).settings, written)

    async def remove(self, user_id: int, channel_id: int) -> bool:
        """Let the channel have the user's own rules. False: it has no others."""
        async with self._database.write() as session:
            await _channel(session, user_id, channel_id)
            return await rows.remove(session, user_id, channel_id)

    async def channels(self, user_id: int) -> list[RuledChannel]:
        async with self._database.read() as session:
            overridden = await rows.overridden(session, user_id)
            return [_ruled(card.Channel, overridden) for card in await channel_cards.cards(session, user_id)]


async def rules_of_posts(session: AsyncSession, post_ids: Collection[int]) -> dict[int, Rules]:
    """Post → its rules; a post that has none but the installation's is left out."""
    found: dict[int, list[RuleSettings]] = {}
    for post_id, row in await rows.of_posts(session, post_ids):
        found.setdefault(post_id, []).append(_settings(row))
    return {post_id: effective(*settings) for post_id, settings in found.items()}


async def _in_force(session: AsyncSession, user_id: int, channel_id: int | None) -> RulesInForce:
    channel = None if channel_id is None else await _channel(session, user_id, channel_id)
    found = await rows.of_user(session, user_id, channel_id)
    own = next((_settings(row) for row in found if row.channel_id is None), RuleSettings())
    of_channel = next((_settings(row) for row in found if row.channel_id is not None), RuleSettings())
    if channel is None:
        return RulesInForce(own, effective(own))
    return RulesInForce(of_channel, effective(own, of_channel), channel)


async def _channel(session: AsyncSession, user_id: int, channel_id: int) -> RuledChannel:
    found = await channel_cards.cards(session, user_id, channel_id)
    if not found:
        raise RuleError(RuleProblem.NO_CHANNEL)
    return _ruled(found[0].Channel, await rows.overridden(session, user_id))


async def check_has_tags(session: AsyncSession, user_id: int) -> None:
    if not await vocabulary.most_used(session, user_id, 1):
        raise RuleError(RuleProblem.NO_TAGS)


def _ruled(channel: object, overridden: Collection[int]) -> RuledChannel:
    title = channel.channel_title or channel.channel_username  # type: ignore[attr-defined]
    return RuledChannel(channel.id, title, channel.id in overridden)  # type: ignore[attr-defined]


def _settings(row: TagRules) -> RuleSettings:
    return RuleSettings(**{name: getattr(row, name) for name in _NAMES})
