"""PURE: which messages of a channel were read, and which of a page are taken for a user."""

from dataclasses import dataclass, replace

from services.sources.base import Delivery, SourcePost

EVERYTHING = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far a channel was read: up to `newest`, except a gap from `gap_before` (exclusive) down to `gap_until`."""

    newest: int | None
    gap_before: int | None = None
    gap_until: int | None = None


def after_newest_page(coverage: Coverage, delivery: Delivery) -> Coverage:
    """There may be a gap below the page."""
    low, high = _lowest(delivery), _highest(delivery)
    if coverage.newest is None:
        return Coverage(high)
    newest = max(coverage.newest, high)
    if low <= coverage.newest + 1 or delivery.is_last:
        return replace(coverage, newest=newest)
    until = coverage.newest if coverage.gap_until is None else min(coverage.newest, coverage.gap_until)
    return Coverage(newest, low, until)


def after_gap_page(coverage: Coverage, delivery: Delivery | None) -> Coverage:
    """`delivery`: None if the server had nothing there."""
    low = _lowest(delivery) if delivery is not None else 0
    before, until = coverage.gap_before, coverage.gap_until
    is_open = before is not None and until is not None and until + 1 < low < before
    if delivery is None or delivery.is_last or not is_open:
        return Coverage(coverage.newest)
    return replace(coverage, gap_before=low)


@dataclass(frozen=True, slots=True)
class History:
    """How far back a channel was read for a user, and how much further they want.

    `oldest`: the lowest message that was read (None before the first page); `wanted`: posts still wanted; `read`: posts
    read since the user asked.
    """

    oldest: int | None
    wanted: int
    read: int = 0
    at_beginning: bool = False


def first_posts(history: History, delivery: Delivery) -> tuple[History, list[SourcePost]]:
    return _take(history, list(delivery.posts), delivery)


def older_posts(history: History, delivery: Delivery | None) -> tuple[History, list[SourcePost]]:
    """What a page of older messages gives to a user; None if the server had nothing older."""
    if delivery is None:
        return replace(history, wanted=0, at_beginning=True), []
    older = [post for post in delivery.posts if history.oldest is None or post.message_id < history.oldest]
    if not delivery.is_last and history.oldest is not None and _lowest(delivery) >= history.oldest:
        # A server that repeats a page must not be asked for it for ever.
        return replace(history, wanted=0), []
    return _take(history, older, delivery)


def _take(history: History, posts: list[SourcePost], delivery: Delivery) -> tuple[History, list[SourcePost]]:
    newest_first = sorted(posts, key=lambda post: post.message_id, reverse=True)
    taken = newest_first[: history.wanted]
    is_all = len(taken) == len(posts)
    at_beginning = delivery.is_last and is_all
    # An empty channel has no lowest message; all its later posts are wanted.
    oldest = max(1, _lowest(delivery)) if is_all else newest_first[len(taken)].message_id + 1
    wanted = 0 if at_beginning else history.wanted - len(taken)
    return History(oldest, wanted, history.read + len(taken), at_beginning), taken


def _lowest(delivery: Delivery) -> int:
    """The lowest message of a delivery, skipped ones too; 0 without messages."""
    found = [post.message_id for post in delivery.posts]
    return min([*found, delivery.position] if delivery.position else found, default=0)


def _highest(delivery: Delivery) -> int:
    return max((post.message_id for post in delivery.posts), default=delivery.position)
