"""Users' vocabularies in the worker's turn: what a request offers, and what a model's tags become.

Each is one or two indexed statements a request or group, in the caller's transaction.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from sqlalchemy.ext.asyncio import AsyncSession

from services.llm.answer_checks import AnswerProblem
from services.llm.outcomes import Kind, Outcome
from services.llm.prompts import offer_tokens, offerable
from services.tagging.tagging_request import FinishedRequest, TaggingRequest
from services.tags.keys import tag_key
from services.tags.resolution import HandMade, Resolved, Vocabulary, resolve
from services.tags.rules import LONGEST_LIST, NO_RULES, Rules
from services.tags.stems import says, stems
from services.text import sendable
from storage.queue.claim import ClaimedPost
from storage.schema.tag_tables import HandMadeTag
from storage.tags import counting, hand_made, journal, vocabulary
from storage.tags.journal import TouchedPost
from storage.tags.vocabulary import KnownTag, NewTag

#: Of a vocabulary with each request: those with words of its posts, and those that most posts have.
NEAREST, MOST_USED = 60, 40
#: Of all lists in a request; with what the rules say of them it stays below 350.
OFFERED_TOKENS = 260


@dataclass(frozen=True, slots=True)
class TagsOfPost:
    """Tags that a model, or a post of equal text, has given to a post."""

    post: ClaimedPost
    tags: tuple[str, ...]
    rules: Rules = NO_RULES


@dataclass(frozen=True, slots=True)
class OwnTags:
    """Post → the tags in its user's own spellings; `aliased`: (change, post) for the journal of merges."""

    names: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    aliased: tuple[tuple[int, TouchedPost], ...] = ()


async def offer(session: AsyncSession, requests: Sequence[TaggingRequest]) -> list[TaggingRequest]:
    """The requests with the tags that they offer, for each owner of their posts."""
    pairs = [(at, owner) for at, each in enumerate(requests) for owner in sorted({post.user_id for post in each.posts})]
    used = {
        owner: await vocabulary.most_used(session, owner, LONGEST_LIST) for owner in sorted({who for _, who in pairs})
    }
    # A vocabulary that has no tag in use has none that is near.
    texts = [(owner, _stems_of(requests[at], owner) if used[owner] else ()) for at, owner in pairs]
    near = await vocabulary.nearest(session, texts, NEAREST)
    offered: list[dict[int, tuple[str, ...]]] = [{} for _ in requests]
    for (at, owner), names in zip(pairs, near, strict=True):
        offered[at][owner] = _offered(requests[at], names, used[owner])
    return [replace(request, offered=tags) for request, tags in zip(requests, offered, strict=True)]


def _offered(request: TaggingRequest, near: Sequence[str], used: Sequence[str]) -> tuple[str, ...]:
    if request.rules.is_closed:
        return tuple(filter(offerable, dict.fromkeys([*near, *used])))[:LONGEST_LIST]
    owners = len({post.user_id for post in request.posts})
    return _fitting(near, used[:MOST_USED], OFFERED_TOKENS / owners)


def _stems_of(request: TaggingRequest, owner: int) -> set[str]:
    return {stem for post in request.posts if post.user_id == owner for stem in stems(sendable(post.text or ""))}


def _fitting(near: Sequence[str], used: Sequence[str], tokens: float) -> tuple[str, ...]:
    """As many names as the tokens allow: two near ones, one much used, and so on."""
    near_pairs = [near[place : place + 2] for place in range(0, len(near), 2)]
    rounds = max(len(near_pairs), len(used))
    order = chain.from_iterable((*near_pairs[at : at + 1], used[at : at + 1]) for at in range(rounds))
    kept: dict[str, None] = {}
    for name in chain.from_iterable(order):
        if name in kept or not offerable(name):
            continue
        tokens -= offer_tokens(name)
        if tokens < 0:
            break
        kept[name] = None
    return tuple(kept)


async def own_outcomes(
    session: AsyncSession, group: Sequence[FinishedRequest], *, adds: bool = True
) -> tuple[list[FinishedRequest], OwnTags]:
    """The requests with outcomes whose tags are each user's own. `adds`: new tags to the vocabularies."""
    group = [_without_others_tags(finished) for finished in group]
    given = [
        TagsOfPost(post, outcome.tags, finished.request.rules)
        for finished in group
        for post, outcome in zip(finished.posts, finished.call.outcomes, strict=True)
        if outcome.kind is Kind.TAGGED
    ]
    own = await own_tags(session, given, adds=adds)
    return [_renamed(finished, own.names) for finished in group], own


def _renamed(finished: FinishedRequest, names: Mapping[int, tuple[str, ...]]) -> FinishedRequest:
    outcomes = tuple(
        outcome._replace(tags=names[post.id]) if outcome.kind is Kind.TAGGED else outcome
        for post, outcome in zip(finished.posts, finished.call.outcomes, strict=True)
    )
    return replace(finished, call=finished.call._replace(outcomes=outcomes))


def _without_others_tags(finished: FinishedRequest) -> FinishedRequest:
    """Without tags that were offered to another owner only, and that the post's text does not have."""
    offered = {owner: {tag_key(name) for name in names} for owner, names in finished.request.offered.items()}
    if len(offered) < 2:
        return finished
    outcomes = tuple(
        _without(outcome, post, set().union(*offered.values()) - offered.get(post.user_id, set()))
        for post, outcome in zip(finished.posts, finished.call.outcomes, strict=True)
    )
    return replace(finished, call=finished.call._replace(outcomes=outcomes))


def _without(outcome: Outcome, post: ClaimedPost, others: Collection[str]) -> Outcome:
    if outcome.kind is not Kind.TAGGED or not others:
        return outcome
    text = sendable(post.text or "")
    kept = tuple(tag for tag in outcome.tags if tag_key(tag) not in others or says(text, tag))
    if kept or not outcome.tags:
        return outcome._replace(tags=kept)
    return Outcome(Kind.MALFORMED, AnswerProblem.ANOTHERS.value)


async def own_tags(session: AsyncSession, given: Sequence[TagsOfPost], *, adds: bool = True) -> OwnTags:
    """What these tags become in the vocabularies of the posts' users; with `adds` new tags are added there."""
    if not given:
        return OwnTags()
    by_hand = {
        at: _by_hand(rows) for at, rows in (await hand_made.changes(session, [x.post.id for x in given])).items()
    }
    keys: dict[int, set[str]] = {}
    for each in given:
        added = by_hand.get(each.post.id, HandMade()).added or {}
        keys.setdefault(each.post.user_id, set()).update([*map(tag_key, each.tags), *added])
    known, targets = await vocabulary.known_tags(session, keys)
    names: dict[int, tuple[str, ...]] = {}
    new: dict[tuple[int, str], NewTag] = {}
    aliased: list[tuple[int, TouchedPost]] = []
    for each in given:
        user_id = each.post.user_id
        own = Vocabulary(user_id, {key: tag for (owner, key), tag in known.items() if owner == user_id}, targets)
        # Two posts of the group may bring the same new tag in two spellings.
        own = replace(own, by_key={**_added(new, user_id), **own.by_key})
        resolved = _resolved(each, own, by_hand.get(each.post.id))
        names[each.post.id] = resolved.names
        new |= {(user_id, tag.key): tag for tag in resolved.new}
        aliased += await _for_the_journal(session, each, own, by_hand.get(each.post.id), resolved)
    if adds:
        await _add(session, new)
    return OwnTags(names, tuple(aliased))


def _resolved(
    each: TagsOfPost, own: Vocabulary, by_hand: HandMade | None, instead: Mapping[int, KnownTag] | None = None
) -> Resolved:
    return resolve(each.tags, own, by_hand, most=each.rules.most, only_known=each.rules.is_closed, instead=instead)


def _by_hand(rows: Sequence[HandMadeTag]) -> HandMade:
    added = {row.key: row.name for row in rows if row.is_added}
    return HandMade(frozenset(row.key for row in rows if not row.is_added), added)


def _added(new: Mapping[tuple[int, str], NewTag], user_id: int) -> dict[str, KnownTag]:
    tags = (tag for (owner, _), tag in new.items() if owner == user_id)
    return {tag.key: KnownTag(0, tag.key, tag.name, is_banned=False, merged_into=None) for tag in tags}


async def _add(session: AsyncSession, new: Mapping[tuple[int, str], NewTag]) -> None:
    if new:
        # The parser may have deleted a user since the posts were claimed.
        present = await counting.present_users(session, {user_id for user_id, _ in new})
        await vocabulary.add_tags(session, [tag for tag in new.values() if tag.user_id in present])


async def _for_the_journal(
    session: AsyncSession, each: TagsOfPost, own: Vocabulary, by_hand: HandMade | None, resolved: Resolved
) -> list[tuple[int, TouchedPost]]:
    """For each merge that was applied: the post's tags without it, so that Undo knows also later posts."""
    found: list[tuple[int, TouchedPost]] = []
    for alias_id in resolved.aliases:
        for change_id, tag in await journal.merges_through(session, alias_id):
            stands = KnownTag(tag.id, tag.key, tag.name, is_banned=False, merged_into=None)
            before = _resolved(each, own, by_hand, {alias_id: stands})
            found.append((change_id, TouchedPost(each.post.id, before.names, resolved.names)))
    return found


async def note(session: AsyncSession, own: OwnTags, written: Collection[int]) -> None:
    """Put into the journal the posts that were written with tags to which a merge was applied."""
    for change_id, post in own.aliased:
        if post.id in written:
            await journal.touched_again(session, change_id, [post])
