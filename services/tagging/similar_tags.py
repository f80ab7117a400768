"""Tags that may mean the same: found by one request now and then, and merged only by the person."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.daily_quota import remaining_today
from services.availability.rate_limit import FREE_SCOPE, RateLimit, SharedRateLimits
from services.clock import Clock
from services.llm.client import Provider
from services.llm.prompts import offerable
from services.tagging.single_request import SingleRequest, TrialError, TrialProblem
from services.tags.errors import TagError, TagProblem
from services.tags.user_rules import UserRules
from services.tags.vocabulary import Changed, Vocabularies
from storage.db.engine import Database
from storage.queue import claim
from storage.tags import lists, pairs
from storage.tags.lists import TagCard
from storage.tags.pairs import OfferedTag
from storage.tags.rules import lock_user

#: The most used tags, which a request compares.
COMPARED = 400
#: A model is asked again after so many new posts.
NEW_POSTS = 500
#: Of the day's quota; with less left a request belongs to new posts.
PLENTY = 0.5
#: Pairs that are counted.
COUNTED = 100


@dataclass(frozen=True, slots=True)
class SimilarPair:
    """`tag` has fewer posts and would be merged into `other`; `left`: pairs to decide on, this one included."""

    tag: TagCard
    other: TagCard
    left: int


@dataclass(frozen=True, slots=True)
class PairMerged:
    before: TagCard
    change: Changed


class SimilarTags:
    """Raises TrialError when no request may be made, and TagError for pairs that were not suggested to the user."""

    def __init__(
        self,
        database: Database,
        provider: Provider,
        chain: Sequence[str],
        rate_limit: RateLimit,
        vocabularies: Vocabularies,
        clock: Clock,
        *,
        enabled: bool,
    ) -> None:
        self._database = database
        self._provider = provider
        self._rate_limits = SharedRateLimits(rate_limit, chain)
        self._single = SingleRequest(database, provider, chain, rate_limit, clock)
        self._rules = UserRules(database, clock)
        self._vocabularies = vocabularies
        self._clock = clock
        self._enabled = enabled

    async def next(self, user_id: int) -> SimilarPair | None:
        """The pair to decide on next. With none left a model is asked, at most once in NEW_POSTS new posts."""
        found = await self._open(user_id)
        if found is None and await self._look(user_id):
            return await self._open(user_id)
        return found

    async def merge(self, user_id: int, tag_id: int, other_id: int) -> PairMerged:
        await self._check_open(user_id, (tag_id, other_id))
        before = await self._vocabularies.tag(user_id, tag_id)
        change = await self._vocabularies.merge(user_id, tag_id, other_id)
        await self._decide(user_id, (tag_id, other_id), "merged")
        return PairMerged(before, change)

    async def differ(self, user_id: int, tag_id: int, other_id: int) -> SimilarPair | None:
        """Never suggest this pair again. Returns the next one, without asking a model."""
        await self._check_open(user_id, (tag_id, other_id))
        await self._decide(user_id, (tag_id, other_id), "different")
        return await self._open(user_id)

    async def _check_open(self, user_id: int, pair: tuple[int, int]) -> None:
        async with self._database.read() as session:
            if not await pairs.is_open(session, user_id, pair):
                raise TagError(TagProblem.DECIDED)

    async def _decide(self, user_id: int, pair: tuple[int, int], state: str) -> None:
        async with self._database.write() as session:
            await pairs.decide(session, user_id, pair, state, self._clock())

    async def _open(self, user_id: int) -> SimilarPair | None:
        async with self._database.read() as session:
            found = await pairs.open_pairs(session, user_id, COUNTED)
            if not found:
                return None
            ids = (found[0].tag_id, found[0].other_id)
            cards = [card for tag_id in ids if (card := await lists.card(session, user_id, tag_id)) is not None]
        if len(cards) < len(ids):
            # Its user was deleted meanwhile.
            return None
        cards.sort(key=lambda card: (card.uses, -card.id))
        return SimilarPair(cards[0], cards[1], len(found))

    async def _look(self, user_id: int) -> bool:
        """Ask a model, if it is time. Returns whether one was asked."""
        is_on = (await self._rules.get(user_id)).rules.is_on
        async with self._database.write() as session:
            # A second press meanwhile waits here, and finds the run.
            await lock_user(session, user_id)
            tags = await self._worth_asking(session, user_id)
            if not tags:
                return False
            await self._check(session, is_on=is_on)
            before = await pairs.last_run(session, user_id)
            await pairs.set_run(session, user_id, await pairs.newest_post(session, user_id), self._clock())
        try:
            found = await self._ask(tags)
        except TrialError:
            async with self._database.write() as session:
                await pairs.restore_run(session, user_id, before)
            raise
        async with self._database.write() as session:
            await pairs.suggest(session, user_id, found, self._clock())
        return True

    async def _ask(self, tags: Sequence[OfferedTag]) -> list[tuple[int, int]]:
        models = await self._single.reserved()
        places = await self._provider.similar(models, [tag.name for tag in tags])
        if places is None:
            raise TrialError(TrialProblem.FAILED)
        return [(tags[one].id, tags[other].id) for one, other in places]

    async def _worth_asking(self, session: AsyncSession, user_id: int) -> list[OfferedTag]:
        """The tags to compare; none before enough posts have come."""
        since = await pairs.posts_since_last_run(session, user_id, NEW_POSTS)
        if since is not None and since < NEW_POSTS:
            return []
        tags = [tag for tag in await pairs.most_used(session, user_id, COMPARED) if offerable(tag.name)]
        return tags if len(tags) > 1 else []

    async def _check(self, session: AsyncSession, *, is_on: bool) -> None:
        """Raises TrialError if posts wait for tags, or if half of the day's quota is used: posts come first."""
        if not self._enabled:
            raise TrialError(TrialProblem.DISABLED)
        if not is_on:
            raise TrialError(TrialProblem.OFF)
        now = self._clock()
        if await claim.next_due_at(session, now) == now:
            raise TrialError(TrialProblem.POSTS_WAIT)
        state = (await self._rate_limits.load(session)).get(FREE_SCOPE)
        left = None if state is None else remaining_today(state, now)
        if state is not None and left is not None and left < PLENTY * (state.day_limit or 0):
            raise TrialError(TrialProblem.SCARCE)
