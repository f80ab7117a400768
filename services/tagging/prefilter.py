"""Claimed posts before a request is planned for them: what needs none is settled, what cannot go out is put off.

All of it in the caller's one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.circuit_breaker import Aside, free_again_at
from services.tagging.plans import Start, View
from services.tagging.recorder import Recorder
from services.tagging.retry_policy import Policy, Trail, settled_attempts
from services.tags.reuse import Worth, sift
from storage import outbox
from storage.queue import attempt_log, leases
from storage.queue.claim import ClaimedPost

#: When a post that cannot go out now is looked at again, if nothing says when.
LOOK_AGAIN = timedelta(seconds=5)


class Triage:
    """Says which posts need a model, and what becomes of those that need none or find none."""

    def __init__(self, recorder: Recorder, chain: Sequence[str], policy: Policy) -> None:
        """`recorder`: gives up what has used up its attempts, or is refused by all."""
        self._recorder = recorder
        self._chain = tuple(chain)
        self._policy = policy

    async def worth_asking(
        self, session: AsyncSession, claimed: Sequence[ClaimedPost], held: Iterable[Start], view: View
    ) -> list[Worth]:
        """The posts that need a model, their attempts settled. The others are settled, or wait for an equal one."""
        sifted = await sift(session, claimed, {key for start in held for key in start.keys if key is not None})
        if sifted.settled:
            settled = await leases.settle(session, sifted.settled)
            await outbox.outcome_ready(session, list(settled.awaited), view.now)
            view.told.extend(settled.awaited | settled.hashtagged)
        await self.postpone(session, sifted.waiting, view.now + LOOK_AGAIN)
        undoubted = [(await self._without_doubt(session, each.post, view), each.key) for each in sifted.worth_asking]
        return [Worth(post, key) for post, key in undoubted if post is not None]

    async def _without_doubt(self, session: AsyncSession, post: ClaimedPost, view: View) -> ClaimedPost | None:
        """The post, with an attempt in doubt counted or not; None when that used up its attempts."""
        if post.doubted_since is None:
            return post
        attempts = settled_attempts(post.attempts, post.doubted_since, await attempt_log.last_success_at(session))
        # An attempt beyond the limit that a /retry gave is in doubt, too: nothing is used up before it counts.
        counts = attempts > post.attempts
        is_used_up = counts and attempts >= self._policy.max_attempts
        # Settled once: a post that is only put off must not find the same doubt again.
        post = post._replace(attempts=attempts, doubted_since=None, waits=post.waits and not counts)
        if not is_used_up:
            return post
        await self._give_up(session, post, "exhausted", post.error or "the attempts are used up", view)
        return None

    async def _give_up(self, session: AsyncSession, post: ClaimedPost, kind: str, error: str, view: View) -> None:
        await self._recorder.give_up(session, post, kind, error, view.now)
        view.told.append(post.id)

    async def nobody_to_ask(self, session: AsyncSession, post: ClaimedPost, view: View) -> None:
        """No model may be asked about the post now: it waits for the first that may, or fails if none will have it."""
        refused = Trail.from_json(post.trail).refused
        gone = {m for m, state in view.states.items() if state.reason is Aside.GONE and state.is_aside(view.now)}
        if refused and set(self._chain) - gone <= set(refused):
            # Nobody is left to wait for.
            error = "every model that can be asked refuses the text"
            await self._give_up(session, post, "refused", error, view)
            return
        at = free_again_at(self._chain, view.states, refused, view.now) or view.now + LOOK_AGAIN
        await self.postpone(session, [post], at)

    async def postpone(self, session: AsyncSession, posts: Sequence[ClaimedPost], at: datetime) -> None:
        """Give the posts back, to be looked at again then."""
        later = [
            (
                post,
                {
                    "next_attempt_at": at,
                    "tagging_attempts": post.attempts,
                    "waits_for_upstream": post.waits or None,
                },
            )
            for post in posts
        ]
        await leases.settle(session, later)
