from datetime import datetime

from bot.i18n import Html, Texts, escape
from bot.views.channels.following import how_to_add
from bot.views.common import SIGNS, account_fault, lines, next_try, paragraphs, provider, shorten, status_words
from bot.views.posts.reasons import REASON_UNITS, reason, servers_words
from services.availability.provider_status import ProviderState
from services.library.bot_queries import Stats


def stats(t: Texts, found: Stats, state: ProviderState, *, everybody: bool, now: datetime, admin: bool = False) -> Html:
    head = (
        t.ngettext("📊 <b>{count} post</b> of all users", "📊 <b>{count} posts</b> of all users", found.total)
        if everybody
        else t.ngettext("📊 You have <b>{count} post</b>", "📊 You have <b>{count} posts</b>", found.total)
    )
    shares = [
        t._(
            "{status}: {number} ({share})",
            status=Html(f"{SIGNS[status]} {name}"),
            number=found.by_status.get(status, 0),
            share=t.percent(found.by_status.get(status, 0), found.total),
        )
        for status, name in status_words(t).items()
        if found.by_status.get(status, 0)
    ]
    return paragraphs(
        head if not everybody else lines(head, t._("Users: {number}", number=found.users)),
        lines(*shares, _with_tags(t, found)) if found.total else None,
        how_to_add(t) if not found.total and not everybody else None,
        _waiting(t, found, state, now),
        _paused(t, state, admin=admin) or t._("Tagging is on: {model}", model=shorten(", ".join(state.models[:1]), 80)),
        _aside(t, state),
        _quota(t, found, state),
    )


def _with_tags(t: Texts, found: Stats) -> Html | None:
    """While new tags are wanted for some posts, more posts have tags than are successful."""
    if found.with_tags == found.by_status.get("success", 0):
        return None
    return t._("With tags: {number}", number=found.with_tags)


def _paused(t: Texts, state: ProviderState, *, admin: bool) -> Html | None:
    told = provider(t, state, admin=admin)
    if told is None or not state.reason:
        return told
    if account_fault(state) is not None:
        # Said already, except in the server's own words.
        words = servers_words(state.reason)
        return lines(told, escape(f"“{shorten(words, REASON_UNITS)}”") if words else None)
    return lines(told, reason(t, state.reason))


def _quota(t: Texts, found: Stats, state: ProviderState) -> Html | None:
    if state.state != "open":
        # In a pause no requests go out: the number left today and the forecast would mislead.
        return None
    quota, through = state.quota, state.through_at
    if quota is not None and found.waiting and state.next_batch_at is not None:
        return t._(
            "Next batch by {at}: {left} of {limit} requests left today",
            at=state.next_batch_at,
            left=quota.remaining,
            limit=quota.limit,
        )
    left = (
        t._("Requests left today: {left} of {limit}", left=quota.remaining, limit=quota.limit)
        if quota is not None
        else None
    )
    done = t._("The queue will be done at about {at}", at=through) if through is not None and found.waiting else None
    return lines(left, done) or None


def _waiting(t: Texts, found: Stats, state: ProviderState, now: datetime) -> Html | None:
    if not found.waiting:
        return None
    count = t.ngettext("⏳ {count} post waits", "⏳ {count} posts wait", found.waiting)
    if state.state != "open" or state.next_batch_at is not None:
        return count
    at = found.next_attempt_at
    return lines(count, next_try(t, at if at is not None and at > now else None))


def _aside(t: Texts, state: ProviderState) -> Html | None:
    if state.state != "open" or not state.aside:
        return None
    reasons = {"gone": t._("no longer offered"), "limited": t._("limited"), "down": t._("not answering")}
    other = t._("refused")
    rows = [
        t._("• {model}: {reason}", model=shorten(each.model, 80), reason=reasons.get(each.reason, other))
        for each in state.aside[:5]
    ]
    return lines(t._("Set aside for now:"), *rows)


def sent_now(t: Texts, posts: int) -> str:
    return t.plain("Posts that go now: {count}", count=posts) if posts else t.plain("None of your posts waits")


def usage_stats(t: Texts) -> Html:
    return t._("Usage: <code>/stats</code>, administrators also <code>/stats all</code>")
