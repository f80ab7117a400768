"""New rules tried on a person's last posts by one request, before they are saved. Nothing is stored."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.availability.rate_limit import RateLimit
from services.clock import Clock
from services.llm.client import Provider, Request
from services.llm.outcomes import Kind
from services.tagging import vocabulary
from services.tagging.single_request import SingleRequest, TrialError, TrialProblem
from services.tagging.tagging_request import FinishedRequest, TaggingRequest
from services.tags.rules import RuleSettings
from services.tags.user_rules import UserRules, check_has_tags
from services.text import has_text
from storage.db.engine import Database
from storage.queue.claim import ClaimedPost, Priority
from storage.tags import rules as rows

POSTS_TRIED = 5
#: Posts that are looked through for some with text.
_LOOKED_THROUGH = 50


@dataclass(frozen=True, slots=True)
class TriedPost:
    """A post with its tags and those under the new rules; None: the answer left it out."""

    id: int
    text: str
    url: str | None
    old: tuple[str, ...]
    new: tuple[str, ...] | None


class RulesTrial:
    def __init__(
        self,
        database: Database,
        provider: Provider,
        chain: Sequence[str],
        rate_limit: RateLimit,
        clock: Clock,
        *,
        enabled: bool,
    ) -> None:
        self._database = database
        self._provider = provider
        self._single = SingleRequest(database, provider, chain, rate_limit, clock)
        self._rules = UserRules(database, clock)
        self._enabled = enabled

    async def run(self, user_id: int, settings: RuleSettings, channel_id: int | None = None) -> list[TriedPost]:
        """Tags of the newest posts (of the channel, if given) under these settings. Raises RuleError, TrialError."""
        rules = await self._rules.would_be(user_id, settings, channel_id)
        if not self._enabled:
            raise TrialError(TrialProblem.DISABLED)
        async with self._database.read() as session:
            if rules.is_closed:
                await check_has_tags(session, user_id)
            found = await rows.last_posts(session, user_id, channel_id, _LOOKED_THROUGH)
        posts = [row for row in found if has_text(row.text)][:POSTS_TRIED]
        if not posts:
            raise TrialError(TrialProblem.NO_POSTS)
        claimed = tuple(_as_claimed(row.id, user_id, row.text) for row in posts)
        models = await self._single.reserved()
        async with self._database.read() as session:
            (request,) = await vocabulary.offer(session, [TaggingRequest(claimed, models, rules=rules)])
        texts = tuple(post.text or "" for post in claimed)
        call = await self._provider.ask(Request(texts, models, request.offers, rules))
        if call.outcome.kind is not Kind.TAGGED:
            raise TrialError(TrialProblem.FAILED)
        async with self._database.read() as session:
            _, own = await vocabulary.own_outcomes(session, [FinishedRequest(request, call)], adds=False)
        return [TriedPost(row.id, row.text, row.url, tuple(row.tags or ()), own.names.get(row.id)) for row in posts]


def _as_claimed(post_id: int, user_id: int, text: str) -> ClaimedPost:
    return ClaimedPost(post_id, user_id, text, (), 0, Priority.ASKED, None, None, "")
