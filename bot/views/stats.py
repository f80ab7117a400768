"""/stats, and the progress of a /retry."""

from __future__ import annotations

from datetime import datetime

from bot.i18n import Html, Texts
from bot.views.common import disabled, lines, next_try, paragraphs, provider, shorten, status_names
from bot.views.reasons import reason
from services.availability.provider_status import ProviderState
from services.library.overview import Stats
from services.tagging.service import RetryProgress


def stats(t: Texts, found: Stats, state: ProviderState, *, everybody: bool, now: datetime) -> Html:
    """/stats: what matters first, then each status with its share."""
    head = (
        t.ngettext("📊 <b>{count} post</b> of all users", "📊 <b>{count} posts</b> of all users", found.total)
        if everybody
        else t.ngettext("📊 You have <b>{count} post</b>", "📊 You have <b>{count} posts</b>", found.total)
    )
    shares = [
        t._(
            "{status}: {number} ({share})",
            status=name,
            number=found.by_status.get(status, 0),
            share=t.percent(found.by_status.get(status, 0), found.total),
        )
        for status, name in status_names(t).items()
    ]
    return paragraphs(
        head if not everybody else lines(head, t._("Users: {number}", number=found.users)),
        lines(*shares, _with_tags(t, found)),
        _waiting(t, found, state, now),
        _paused(t, state) or t._("Tagging is on: {model}", model=shorten(", ".join(state.models[:1]), 80)),
        _aside(t, state),
        _quota(t, found, state),
    )


def _with_tags(t: Texts, found: Stats) -> Html | None:
    """More posts than the tagged ones have tags while new ones were asked for."""
    if found.with_tags == found.by_status.get("success", 0):
        return None
    return t._("With tags: {number}", number=found.with_tags)


def _paused(t: Texts, state: ProviderState) -> Html | None:
    told = provider(t, state)
    return lines(told, reason(t, state.reason)) if told is not None and state.reason else told


def _quota(t: Texts, found: Stats, state: ProviderState) -> Html | None:
    quota, through = state.quota, state.through_at
    left = (
        t._("Requests left today: {left} of {limit}", left=quota.remaining, limit=quota.limit)
        if quota is not None
        else None
    )
    done = t._("The queue will be through about {at}", at=through) if through is not None and found.waiting else None
    return lines(left, done) or None


def _waiting(t: Texts, found: Stats, state: ProviderState, now: datetime) -> Html | None:
    if not found.waiting:
        return None
    count = t.ngettext("⏳ {count} post waits", "⏳ {count} posts wait", found.waiting)
    if state.state != "open":
        # What is said of the provider says when.
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


def nothing_to_retry(t: Texts) -> Html:
    """A /retry that found nothing."""
    return t._("✅ Nothing to retry: no post of yours waits or failed.")


def nothing_to_retry_of_anybody(t: Texts) -> Html:
    """A /retry force all that found nothing."""
    return t._("✅ Nothing to retry: no post waits or failed.")


def retry_started(t: Texts, queued: int, *, enabled: bool) -> Html:
    """The first answer to a /retry."""
    text = t.ngettext("🔁 {count} post is queued", "🔁 {count} posts are queued", queued)
    return text if enabled else paragraphs(text, disabled(t))


def progress(t: Texts, state: RetryProgress, *, paused: bool) -> Html:
    """How far a /retry has come. `paused`: it ends here because the provider's pause lasts."""
    done = state.total - state.waiting
    return paragraphs(
        _progress_head(t, state, paused=paused),
        t._("{done} of {total}: ✅ {success} · ❌ {failed} · ⏳ {waiting}", **_numbers(state), done=done),
        _progress_foot(t, state),
    )


def _numbers(state: RetryProgress) -> dict[str, object]:
    return {"total": state.total, "success": state.success, "failed": state.failed, "waiting": state.waiting}


def _progress_head(t: Texts, state: RetryProgress, *, paused: bool) -> Html:
    if state.stopped:
        return t._("⏹ <b>Stopped</b>; the rest is out of the queue again")
    if state.finished:
        return t._("⚠️ <b>Done</b>, but not all of it worked") if state.failed else t._("✅ <b>Done</b>")
    if state.too_long:
        return t._("⏳ <b>It goes on</b>; /stats shows how far it is")
    return t._("⏸ <b>Paused</b>; the posts stay in the queue") if paused else t._("🔁 <b>Retrying</b>")


def _progress_foot(t: Texts, state: RetryProgress) -> Html | None:
    if state.stopped:
        return None
    if state.finished:
        waiting = t._("Those that wait are tried again by themselves.") if state.waiting else None
        return paragraphs(t._("What failed, and why: /failed") if state.failed else None, waiting)
    return t._("The provider's pause ends: {at}", at=state.paused_until) if state.paused_until is not None else None


def stopped(t: Texts, count: int) -> str:
    """The answer to a press on Stop."""
    return t.plain("Stopped. Out of the queue: {count}", count=count)
