from bot.i18n import Html, Texts
from bot.views.common import disabled, paragraphs
from services.tagging.service import RetryProgress


def usage_retry(t: Texts, *, admin: bool) -> Html:
    if admin:
        return t._("Usage: <code>/retry 50</code> or <code>/retry force all 50</code> — 1 to 1000 posts")
    return t._("Usage: <code>/retry 50</code> — 1 to 1000 posts, 50 without a number")


def nothing_to_retry(t: Texts) -> Html:
    return t._("✅ Nothing to retry: none of your posts failed or is waiting.")


def nothing_to_retry_of_anybody(t: Texts) -> Html:
    return t._("✅ Nothing to retry: no post failed or is waiting.")


def retry_started(t: Texts, queued: int, *, enabled: bool) -> Html:
    text = t.ngettext("🔁 {count} post is queued", "🔁 {count} posts are queued", queued)
    return text if enabled else paragraphs(text, disabled(t))


def progress(t: Texts, state: RetryProgress, *, paused: bool) -> Html:
    """`paused`: the message is not edited any more, because the provider's pause lasts."""
    return paragraphs(
        _progress_head(t, state, paused=paused),
        t._(
            "{done} of {total}: ✅ {success} · ❌ {failed} · ⏳ {waiting}",
            done=state.total - state.waiting,
            total=state.total,
            success=state.success,
            failed=state.failed,
            waiting=state.waiting,
        ),
        _progress_foot(t, state),
    )


def _progress_head(t: Texts, state: RetryProgress, *, paused: bool) -> Html:
    if state.stopped:
        return t._("⏹ <b>Stopped</b>; the rest was taken off the queue")
    if state.finished:
        return t._("⚠️ <b>Done</b>, with some failures") if state.failed else t._("✅ <b>Done</b>")
    if state.too_long:
        return t._("⏳ <b>Still working</b>; /stats shows the progress")
    return t._("⏸ <b>Paused</b>; the posts stay in the queue") if paused else t._("🔁 <b>Retrying</b>")


def _progress_foot(t: Texts, state: RetryProgress) -> Html | None:
    if state.stopped:
        return None
    if state.finished:
        waiting = t._("Waiting posts are retried automatically.") if state.waiting else None
        return paragraphs(t._("What failed, and why: /failed") if state.failed else None, waiting)
    return t._("The provider's pause ends: {at}", at=state.paused_until) if state.paused_until is not None else None


def stopped(t: Texts, count: int) -> str:
    return t.plain("Stopped. Taken off the queue: {count}", count=count)
