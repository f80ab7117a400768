"""Settles claimed posts that need no request, and postpones those that cannot go out now.

A post needs no request without text, with its tags, with a text that is tagged already, or with tagging switched off.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.admission import ProviderView
from services.availability.circuit_breaker import Aside
from services.availability.model_choice import free_again_at
from services.tagging import vocabulary
from services.tagging.recorder import Recorder
from services.tagging.retry_policy import AttemptTrail, Policy, backoff, settled_attempts
from services.tagging.row_values import switched_off_values, tagged_values, through_values
from services.tagging.tagging_request import TaggingRequest
from services.tagging.vocabulary import OwnTags, TagsOfPost
from services.tags.rules import NO_RULES, Rules
from services.tags.text_equality import same_words, text_key
from services.tags.user_rules import rules_of_posts
from services.text import has_text
from storage import outbox
from storage.posts import equal_texts
from storage.queue import attempt_log, leases
from storage.queue.claim import ClaimedPost, Priority

#: When a post that cannot go out now is looked at again, if nothing says when.
LOOK_AGAIN = timedelta(seconds=5)


class Prefilter:
    def __init__(self, recorder: Recorder, chain: Sequence[str], policy: Policy) -> None:
        self._recorder = recorder
        self._chain = tuple(chain)
        self._policy = policy

    async def posts_to_ask(
        self,
        session: AsyncSession,
        claimed: Sequence[ClaimedPost],
        rules: Mapping[int, Rules],
        under_way: Iterable[TaggingRequest],
        now: datetime,
    ) -> tuple[list[ClaimedPost], bool]:
        """The posts that need a model, and whether a settled post gives a notice to send.

        A post whose text is in a request `under_way`, or in another post's, waits for that one's tags.
        """
        settled, waiting, to_ask = list[tuple[ClaimedPost, dict[str, Any]]](), list[ClaimedPost](), list[ClaimedPost]()
        of = {post.id: rules.get(post.id, NO_RULES) for post in claimed}
        values = {post.id: _without_request(post, of[post.id]) for post in claimed}
        keys = {post.id: _shared_key(post, of[post.id]) for post in claimed if values[post.id] is None}
        known = await _known_tags(session, {key.text for key in keys.values() if key is not None})
        asked = {_shared_key(post, request.rules) for request in under_way for post in request.posts} - {None}
        given = [
            TagsOfPost(post, tags, of[post.id])
            for post in claimed
            if known
            and (shared := keys.get(post.id)) is not None
            and (tags := known.get((same_words(post.text or ""), shared.rules)))
        ]
        own = await vocabulary.own_tags(session, given)
        for post in claimed:
            key = keys.get(post.id)
            if (done := values[post.id]) is not None:
                settled.append((post, done))
            elif key is not None and post.id in own.names:
                settled.append((post, tagged_values(own.names[post.id], key.text)))
            elif key is not None and key in asked:
                waiting.append(post)
            else:
                to_ask.append(post)
                asked.update([] if key is None else [key])
        is_told = await self._settle(session, settled, own, now)
        await self.postpone(session, waiting, now + LOOK_AGAIN)
        found = list[ClaimedPost]()
        for post in to_ask:
            without_doubt = await self._without_doubt(session, post, now)
            if without_doubt is None:
                is_told = True
            elif (at := self._backoff_ends(post, without_doubt)) > now:
                await self.postpone(session, [without_doubt], at)
            else:
                found.append(without_doubt)
        return found, is_told

    async def _settle(
        self, session: AsyncSession, done: Sequence[tuple[ClaimedPost, dict[str, Any]]], own: OwnTags, now: datetime
    ) -> bool:
        if not done:
            return False
        settled = await leases.settle(session, done)
        await vocabulary.note(session, own, [post_id for post_id, _ in settled.written])
        await outbox.outcome_ready(session, list(settled.awaited), now)
        return bool(settled.awaited | settled.hashtagged)

    async def _without_doubt(self, session: AsyncSession, post: ClaimedPost, now: datetime) -> ClaimedPost | None:
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
        await self._recorder.give_up(session, post, "exhausted", post.error or "the attempts are used up", now)
        return None

    def _backoff_ends(self, before: ClaimedPost, post: ClaimedPost) -> datetime:
        """An attempt that counts after all is followed by its backoff: the first success made the post due too soon."""
        if before.doubted_since is None or post.attempts == before.attempts:
            return datetime.min.replace(tzinfo=UTC)
        return before.doubted_since + timedelta(seconds=backoff(self._policy, post.attempts, Random(post.id)))

    async def no_model_to_ask(self, session: AsyncSession, post: ClaimedPost, view: ProviderView) -> bool:
        """Postpone the post until a model may be asked about it.

        Returns whether it failed instead, since every model that is not gone refuses it.
        """
        refused = AttemptTrail.from_json(post.trail).refused
        gone = {m for m, state in view.models.items() if state.reason is Aside.GONE and state.is_aside(view.now)}
        if refused and set(self._chain) - gone <= set(refused):
            error = "every model that can be asked refuses the text"
            await self._recorder.give_up(session, post, "refused", error, view.now)
            return True
        at = free_again_at(self._chain, view.models, refused, view.now) or view.now + LOOK_AGAIN
        await self.postpone(session, [post], at)
        return False

    async def postpone(self, session: AsyncSession, posts: Sequence[ClaimedPost], at: datetime) -> None:
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


class _Shared(NamedTuple):
    """What posts have in common that share tags: the text's key, and the rules' kind."""

    text: int
    rules: Hashable


def _without_request(post: ClaimedPost, rules: Rules) -> dict[str, Any] | None:
    """The row's values for a post without text, or with the wanted tags; else None."""
    if not has_text(post.text):
        status = "success" if post.tags else "skipped"
    elif post.tags and not post.wants_new and (post.requested_at is None or post.text_key == text_key(post.text or "")):
        # An edit asks for new tags, unless it changed nothing that matters.
        status = "success"
    elif not (rules.is_on or post.wants_new or post.work_class == Priority.ASKED):
        # A person who asks for a post's tags gets them.
        return switched_off_values(post)
    else:
        return None
    return through_values(status)


def _shared_key(post: ClaimedPost, rules: Rules) -> _Shared | None:
    """With which posts this one shares tags; None when a person wants tags for this very post."""
    return None if post.wants_new else _Shared(text_key(post.text or ""), rules.request_kind(post.user_id))


async def _known_tags(session: AsyncSession, keys: Collection[int]) -> dict[tuple[str, Hashable], tuple[str, ...]]:
    """Words and the rules' kind → tags. By the words, since two texts may share a key by chance."""
    if not keys:
        return {}
    found = await equal_texts.tagged_alike(session, keys)
    # A post whose edit brought no new tags still has those of the text before.
    found = [each for each in found if each.tags and text_key(each.text) == each.key]
    rules = await rules_of_posts(session, [each.post_id for each in found])
    kinds = (rules.get(each.post_id, NO_RULES).request_kind(each.user_id) for each in found)
    return {(same_words(each.text), kind): each.tags for each, kind in zip(found, kinds, strict=True)}
