"""Claims due posts and plans requests for them, in the caller's transaction."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.admission import AdmissionControl, ProviderView, seconds_until
from services.availability.circuit_breaker import Aside, ModelState
from services.availability.daily_quota import next_batch
from services.availability.model_choice import candidates, choose_model, models_to_send
from services.availability.model_names import is_free
from services.availability.model_states import load_states
from services.availability.rate_limit import FREE_SCOPE, RateLimit, SharedRateLimits
from services.clock import utc_day
from services.tagging import vocabulary
from services.tagging.batching import batches, most_together
from services.tagging.prefilter import LOOK_AGAIN, Prefilter
from services.tagging.recorder import Recorded, Recorder
from services.tagging.retry_policy import AttemptTrail, Policy
from services.tagging.tagging_request import Plan, TaggingRequest
from services.tags.rules import NO_RULES, Rules
from services.tags.user_rules import rules_of_posts
from storage.queue import claim, leases, limits
from storage.queue import model_states as model_rows
from storage.queue.claim import ClaimedPost, Priority

#: Seconds at most until the next look when what is due cannot be claimed.
MOST_MISSED = 30.0
#: While a day's quota is planned, so many batches are claimed, of which the fullest goes.
WIDER = 2


class Dispatcher:
    def __init__(
        self,
        recorder: Recorder,
        chain: Sequence[str],
        policy: Policy,
        rate_limit: RateLimit,
        *,
        concurrency: int,
        batch_size: int,
        lease_seconds: float,
        probe_seconds: float,
        sends_models: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`sends_models`: whether the server takes OpenRouter's `models`."""
        self._chain = tuple(chain)
        self._prefilter = Prefilter(recorder, chain, policy)
        self._rate_limits = SharedRateLimits(rate_limit, chain)
        self._admission = AdmissionControl(
            chain, self._rate_limits, concurrency=concurrency, batch_size=batch_size, monotonic=monotonic
        )
        self._batch_size = batch_size
        self._lease = lease_seconds
        self._probe = timedelta(seconds=probe_seconds)
        self._sends_models = sends_models
        self._last_user = 0
        self._misses = 0

    async def plan(
        self,
        session: AsyncSession,
        now: datetime,
        under_way: Sequence[TaggingRequest],
        *,
        probe: bool,
        states: dict[str, ModelState] | None = None,
    ) -> Plan:
        """Claim what may go out now. `probe`: one request even in a pause; `states`: if read in this transaction."""
        known = await load_states(session) if states is None else states
        view = ProviderView(known, await self._rate_limits.load(session), now)
        admission = self._admission.admit(view, len(under_way), probe=probe)
        if not admission.requests:
            return Plan(wait=admission.wait)
        company_wait = None if probe else await self._company_wait(session, view)
        if company_wait is not None and admission.requests > 1:
            # Each batch is planned with what the one before has left of the quota.
            admission = replace(admission, requests=1, wait=0.0)
        wider = WIDER if company_wait is not None and admission.batch_size > 1 else 1
        retries = self._admission.retries()
        claimed = await claim.claim_posts(
            session,
            limit=admission.requests * admission.batch_size * wider,
            now=now,
            lease_seconds=self._lease,
            token=uuid4().hex,
            after_user=self._last_user,
            retries=retries > 0,
            only_asked=bool(company_wait),
        )
        if not claimed:
            return Plan(wait=await self._until_due(session, now, retries=retries > 0, company_wait=company_wait))
        self._misses = 0
        self._last_user = _last_in_turn(claimed, self._last_user)
        rules = await rules_of_posts(session, [post.id for post in claimed])
        posts, is_told = await self._prefilter.posts_to_ask(session, claimed, rules, under_way, now)
        single, are_refused = await self._with_models(session, posts, rules, view, admission.batch_size, probe=probe)
        wanted = batches(single)
        if wider > 1:
            wanted.sort(key=_fullest)
        requests = await self._may_start(session, wanted, view, admission.requests, retries)
        if not await self._count(session, requests, view, is_planned=company_wait is not None):
            await self.give_back(session, requests)
            return Plan(claimed=True, wait=0.0, notices=is_told or are_refused)
        requests = await vocabulary.offer(session, requests)
        wait = 0.0 if len(requests) < admission.requests else admission.wait
        return Plan(tuple(requests), claimed=True, wait=wait, notices=is_told or are_refused)

    def started(self, request: TaggingRequest) -> None:
        self._admission.started(is_retry=request.is_retry)

    def recorded(self, recorded: Recorded) -> None:
        self._admission.ended(
            answered=recorded.answered, timed_out=recorded.timed_out, refused_access=recorded.refused_access
        )

    async def give_back(self, session: AsyncSession, broken_off: Sequence[TaggingRequest]) -> None:
        """Free the posts and probes of requests that are broken off."""
        await leases.release(session, [post for request in broken_off for post in request.posts])
        for request in broken_off:
            if request.is_probe:
                await model_rows.end_probe(session, request.models[0])

    async def _company_wait(self, session: AsyncSession, view: ProviderView) -> float | None:
        """Seconds that posts wait for company if nobody asked for them; None: no day's quota limits the requests."""
        model = next(iter(candidates(self._chain, view.models, view.now)), self._chain[0])
        if not is_free(model):
            return None
        batch = await next_batch(session, view.limits[FREE_SCOPE], self._batch_size, view.now)
        return None if batch is None else batch.wait if batch.waiting else 0.0

    async def _until_due(
        self, session: AsyncSession, now: datetime, *, retries: bool, company_wait: float | None
    ) -> float | None:
        if company_wait:
            later = seconds_until(await claim.next_later_at(session, now), now)
            return company_wait if later is None else min(company_wait, later)
        due = await claim.next_due_at(session, now, retries=retries)
        # Due, yet not claimed: another process held the rows for the moment, or their user is gone.
        self._misses = self._misses + 1 if due == now else 0
        wait = min(MOST_MISSED, 2.0 ** (self._misses - 1)) if due == now else seconds_until(due, now)
        if retries:
            return wait
        until_retries = self._admission.retry_wait()
        return until_retries if wait is None else min(wait, until_retries)

    async def _with_models(
        self,
        session: AsyncSession,
        posts: Sequence[ClaimedPost],
        rules: Mapping[int, Rules],
        view: ProviderView,
        batch_size: int,
        *,
        probe: bool,
    ) -> tuple[list[TaggingRequest], bool]:
        """A request for each post that some model may be asked about, and whether another post failed."""
        found, is_told = list[TaggingRequest](), False
        # One post is a model's probe; the others go to the models that are up.
        probed: set[str] = set()
        for post in posts:
            trail = AttemptTrail.from_json(post.trail)
            models, is_probe = self._models_for(trail, view, probed, probe=probe)
            if models:
                probed.update(models[:1] if is_probe else ())
                most = 1 if is_probe else most_together(post, trail, batch_size)
                found.append(TaggingRequest((post,), models, is_probe, most, rules=rules.get(post.id, NO_RULES)))
            else:
                is_told |= await self._prefilter.no_model_to_ask(session, post, view)
        return found, is_told

    def _models_for(
        self, trail: AttemptTrail, view: ProviderView, probed: Collection[str], *, probe: bool
    ) -> tuple[tuple[str, ...], bool]:
        allowed = [model for model in candidates(self._chain, view.models, view.now) if model not in probed]
        if probe and not allowed:
            present = [m for m in self._chain if m not in view.models or view.models[m].reason is not Aside.GONE]
            return tuple((present or list(self._chain))[:1]), True
        model = choose_model(self._chain, allowed, trail.asked, trail.refused)
        if model is None:
            return (), False
        state = view.models.get(model)
        sent = models_to_send(model, self._chain, allowed, trail.refused) if self._sends_models() else (model,)
        return sent, state is not None and state.is_half_open(view.now)

    async def _may_start(
        self, session: AsyncSession, wanted: Sequence[TaggingRequest], view: ProviderView, most: int, retries: int
    ) -> list[TaggingRequest]:
        found: list[TaggingRequest] = []
        surplus: list[ClaimedPost] = []
        for request in wanted:
            retries -= request.is_retry
            if len(found) >= most or (request.is_retry and retries < 0):
                surplus += request.posts
            elif await self._reserve(session, request, view):
                found.append(request)
        await leases.release(session, surplus)
        return found

    async def _count(
        self, session: AsyncSession, requests: Sequence[TaggingRequest], view: ProviderView, *, is_planned: bool
    ) -> bool:
        """Count the requests to free models; False if another process has sent one since the plan was made."""
        free = [request for request in requests if is_free(request.models[0])]
        if not free:
            return True
        # People do not wait for the plan.
        is_bound = is_planned and any(post.work_class != Priority.ASKED for each in free for post in each.posts)
        seen = view.limits[FREE_SCOPE].day_used if is_bound else None
        counted = await limits.count(session, FREE_SCOPE, utc_day(view.now), len(free), seen=seen)
        return counted or seen is None

    async def _reserve(self, session: AsyncSession, request: TaggingRequest, view: ProviderView) -> bool:
        """Reserve the probe and the slot that the request needs; without them its posts are postponed."""
        model = request.models[0]
        if request.is_probe and not await self._reserve_probe(session, model, view):
            await self._prefilter.postpone(session, request.posts, view.now + LOOK_AGAIN)
            return False
        if not await self._rate_limits.take_slot(session, model, view.limits, view.now):
            if request.is_probe:
                await model_rows.end_probe(session, model)
            slot = self._rate_limits.promise_slot(model, view.limits, view.now)
            await self._prefilter.postpone(session, request.posts, slot)
            return False
        return True

    async def _reserve_probe(self, session: AsyncSession, model: str, view: ProviderView) -> bool:
        until = view.now + self._probe
        if not await model_rows.start_probe(session, model, view.now, until):
            return False
        view.models[model] = replace(view.models.get(model) or ModelState(model), probe_until=until)
        return True


def _fullest(request: TaggingRequest) -> tuple[bool, int]:
    return request.posts[0].work_class != Priority.ASKED, -len(request.posts)


def _last_in_turn(claimed: Sequence[ClaimedPost], after_user: int) -> int:
    """The user whose turn was last: of the last work class, users beyond `after_user` came first."""
    last_class = max(post.work_class for post in claimed)
    users = {post.user_id for post in claimed if post.work_class == last_class}
    return max(users, key=lambda user: (user <= after_user, user))
