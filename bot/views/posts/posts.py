import re

from bot.i18n import Html, Texts, escape, join
from bot.views.common import (
    SIGNS,
    beginning,
    channel,
    lines,
    link,
    next_try,
    number,
    paragraphs,
    provider,
    shorten,
    status_words,
    tags,
)
from bot.views.posts.find import query_of
from bot.views.posts.reasons import LIST_UNITS, outcome, servers_words, why
from services.availability.provider_status import ProviderState
from services.library.bot_queries import AttemptView, FailedPage, PostCard
from services.library.cursor import MAX_ID
from services.tagging.row_values import NONE_FITS, SWITCHED_OFF

LISTED = 10
#: Of the server's words about one request.
ATTEMPT_UNITS = 120


def card(t: Texts, post: PostCard) -> Html:
    head = lines(
        _title(t, post),
        link(t._("Open the post"), post.url) if post.url else None,
        t._("🗑 Deleted in the channel ({at})", at=post.gone_at) if post.gone_at is not None else None,
    )
    return paragraphs(
        head,
        beginning(post, 500),
        t._("Tags: {tags}", tags=tags(post.tags)) if post.tags else None,
        _standing(t, post),
        _attempts(t, post.attempt_log),
    )


def _title(t: Texts, post: PostCard) -> Html:
    names = status_words(t)
    status = post.status if post.status in names else "pending"
    sign, words = ("🔄", t._("being tagged")) if post.leased else (SIGNS[status], names[status])
    return t._(
        "{sign} {post} · {status} · {channel}", sign=sign, post=number(post), status=words, channel=channel(post)
    )


def _standing(t: Texts, post: PostCard) -> Html | None:
    if post.skipped or post.is_personal or post.status == "skipped":
        return _why_skipped(t, post)
    if post.status == "success":
        if post.failure_kind == NONE_FITS and not post.tags:
            return t._("None of your tags fits.")
        return lines(t._("No new tags came; the old ones stay."), why(t, post)) if post.error else None
    waiting = next_try(t, post.next_attempt_at) if post.status in {"pending", "retrying"} and not post.leased else None
    reason = t._("Why: {reason}", reason=why(t, post)) if post.error else None
    return lines(reason, waiting, _tries(t, post)) or None


def _why_skipped(t: Texts, post: PostCard) -> Html:
    if post.is_personal:
        return t._("From a personal chat that you left out: it is not tagged.")
    if post.skipped:
        return t._("You skipped this post: it will not be tagged.")
    if post.failure_kind == SWITCHED_OFF:
        return t._("Tagging was off by your /rules when it came.")
    return t._("It is of a kind that I cannot read.") if post.is_unsupported else t._("It has no text to tag.")


def _tries(t: Texts, post: PostCard) -> Html | None:
    if not post.attempts:
        return None
    if post.status == "failed":
        return t._("Attempts: {count}", count=post.attempts)
    return t.ngettext("{count} attempt so far", "{count} attempts so far", post.attempts)


def _attempts(t: Texts, log: tuple[AttemptView, ...]) -> Html | None:
    if not log:
        return None
    return lines(t._("<b>Last requests</b>"), *(_attempt(t, attempt) for attempt in log))


def _attempt(t: Texts, attempt: AttemptView) -> Html:
    words = servers_words(attempt.error or "")
    row = t._(
        "{at} · {model} · {outcome} · {seconds} s",
        at=attempt.at,
        model=shorten(attempt.model_answered or attempt.model_asked, 60),
        outcome=outcome(t, attempt),
        seconds=t.seconds(attempt.seconds),
    )
    return lines(row, escape(f"“{shorten(words, ATTEMPT_UNITS)}”") if words else None)


def queued(t: Texts, post_id: int, state: ProviderState, *, admin: bool = False) -> Html:
    """This message will be edited to show the new tags."""
    post = f"#{post_id}"
    text = t._("⏳ {post} goes first; its tags will appear here.", post=post)
    shown = text if state.enabled else t._("⏳ {post} is queued.", post=post)
    return paragraphs(shown, provider(t, state, admin=admin))


def result(t: Texts, post: PostCard) -> Html:
    """The outcome for a person who asked for the post's tags."""
    match post.status:
        case "success" if post.error:
            return paragraphs(
                t._("❌ {post}: no new tags. {reason}", post=number(post), reason=why(t, post)),
                t._("The old ones stay: {tags}", tags=tags(post.tags)),
            )
        case "success":
            return paragraphs(
                t._("✅ {post} · {channel}", post=number(post), channel=channel(post)),
                tags(post.tags) or t._("None of your tags fits."),
                _snippet(post),
            )
        case "failed":
            return failed_one(t, post)
        case "skipped":
            return _skipped(t, post)
        case _:
            return _not_yet(t, post)


def _skipped(t: Texts, post: PostCard) -> Html:
    if post.skipped:
        return t._("⏭ {post} is skipped.", post=number(post))
    if post.failure_kind == SWITCHED_OFF:
        skipped = t._("⏭ {post} is skipped.", post=number(post))
        return paragraphs(skipped, t._("Tagging was off by your /rules when it came."))
    if post.is_unsupported:
        return t._("⏭ {post} is of a kind that I cannot read.", post=number(post))
    return t._("⏭ {post} has no text to tag.", post=number(post))


def _not_yet(t: Texts, post: PostCard) -> Html:
    if post.error is None:
        return t._("⏳ {post} is in the queue; its tags will appear here.", post=number(post))
    return paragraphs(
        t._("🔁 {post}: not yet. {reason}", post=number(post), reason=why(t, post)),
        lines(
            next_try(t, post.next_attempt_at),
            t._("Until then the old tags stay: {tags}", tags=tags(post.tags)) if post.tags else None,
        ),
    )


def gone(t: Texts, post_id: int) -> Html:
    """The post was deleted while a person waited for its tags."""
    return t._("{post} is no longer there.", post=f"#{post_id}")


def post_in(text: str) -> int | None:
    """The number of the post that a message of ours is about; None if it is a list, or about something else."""
    found = re.search(r"#([0-9]{1,10})\b", text.partition("\n")[0]) if query_of(text) is None else None
    return int(found[1]) if found is not None and 1 <= int(found[1]) <= MAX_ID else None


def missing(t: Texts) -> Html:
    return t._("You have no such post. Lists: /latest, /find, /failed")


def failed_one(t: Texts, post: PostCard) -> Html:
    if post.status == "success":
        return result(t, post)
    return paragraphs(
        t._("❌ {post} · {channel}: not tagged", post=number(post), channel=channel(post)),
        why(t, post),
        _snippet(post),
    )


def _snippet(post: PostCard) -> Html | None:
    text = beginning(post, 150)
    return Html(f"<i>{text}</i>") if text else None


def failed_several(t: Texts, posts: list[PostCard], total: int) -> Html:
    more = total - len(posts[:LISTED])
    return paragraphs(
        t.ngettext("❌ {count} post was not tagged", "❌ {count} posts were not tagged", total),
        join("\n", [_row(t, post) for post in posts[:LISTED]]),
        t.ngettext("and {count} more", "and {count} more", more) if more > 0 else None,
    )


def _row(t: Texts, post: PostCard) -> Html:
    text = beginning(post, 60) or escape("—")
    return lines(
        t._("{post} · {channel}: {text}", post=number(post), channel=channel(post), text=link(text, post.url)),
        Html(f"   <i>{why(t, post, LIST_UNITS)}</i>"),
    )


def failed_page(t: Texts, page: FailedPage) -> Html:
    if not page.posts:
        return t._("✅ No failed posts.")
    place = t._("page {page} of {pages}", page=page.page, pages=page.pages) if page.pages > 1 else None
    return paragraphs(
        t.ngettext("❌ <b>{count} failed post</b>", "❌ <b>{count} failed posts</b>", page.total),
        join("\n", [_row(t, post) for post in page.posts]),
        place,
    )


def usage_post(t: Texts) -> Html:
    return t._(
        "Which post? Send <code>/post 123</code>, or a t.me link in place of the number, or reply /post to a message "
        "about it. Lists: /latest, /find"
    )


def usage_regen(t: Texts) -> Html:
    return t._(
        "Which post? Send <code>/regen 123</code>, or a t.me link in place of the number, or reply /regen to a message "
        "about it. Lists: /latest, /find"
    )
