"""Texts of /watch and /watches, and the messages that watches send."""

from collections.abc import Mapping
from typing import Any

from bot.i18n import Html, Texts, escape
from bot.views.common import lines, paragraphs, shorten
from bot.views.posts.find import listed
from services.library.watch_query import WatchEvery
from services.library.watches import MOST_WATCHES, FoundByWatch, Watch, WatchPage


def every_name(t: Texts, every: WatchEvery) -> str:
    match every:
        case WatchEvery.NOW:
            return t.plain("At once")
        case WatchEvery.HOURLY:
            return t.plain("Hourly")
        case WatchEvery.DAILY:
            return t.plain("Daily")


def watch(t: Texts, shown: Watch) -> Html:
    if shown.paused:
        return paragraphs(_head(shown.query), t._("⏸ Paused: posts published meanwhile are not sent later."))
    where = (
        t._("I'll send your new posts that match it here.")
        if shown.is_private
        else t._("New posts that match it go to the group.")
    )
    return paragraphs(
        _head(shown.query),
        lines(where, t._("Now: {every}", every=every_name(t, shown.every)), t._("All of yours: /watches")),
    )


def _head(query: str) -> Html:
    return Html(f"🔔 <b>{escape(query)}</b>")


def how_to_watch(t: Texts) -> Html:
    return lines(
        t._("🔔 I can tell you of new posts with a tag or words:"),
        t._("<code>/watch #energy</code>"),
        t._("<code>/watch solar panels @channel -advert</code>"),
    )


def refused(t: Texts, reason: str) -> Html:
    match reason:
        case "since":
            return t._("A watch finds new posts only: leave out <code>since:</code>.")
        case "too many":
            return t._("You have {number} watches, and no more fit. Remove one: /watches", number=MOST_WATCHES)
        case "not yours":
            return t._("You have no such watch.")
        case _:
            return how_to_watch(t)


def removed(t: Texts) -> Html:
    return t._("🔕 Removed. What you still watch: /watches")


def watches(t: Texts, shown: WatchPage) -> Html:
    if not shown.watches:
        return paragraphs(t._("You watch nothing yet."), how_to_watch(t)) if shown.page == 1 else t._("That was all.")
    return t._("🔔 <b>What you watch</b>\nPress one to change it.")


def found(t: Texts, news: FoundByWatch) -> Html:
    more = news.total - len(news.posts)
    return paragraphs(
        _head(news.query),
        listed(t, news.posts),
        t._("And {number} more: <code>/find {query}</code>", number=more, query=news.query) if more > 0 else None,
    )


def lost(t: Texts, payload: Mapping[str, Any]) -> Html:
    query = shorten(str(payload.get("query")), 200)
    return t._(
        "⏸ I can't write to the group of your watch “{query}” any more, so I paused it. "
        "Let me write there again, then resume it: /watches",
        query=query,
    )
