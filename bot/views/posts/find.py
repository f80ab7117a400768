"""Pages of posts: /find, /latest, related ones, and posts offered in other chats."""

from collections.abc import Sequence

from bot.i18n import Html, Texts, escape, join
from bot.views.common import beginning, lines, link, number, paragraphs, shorten, tags
from services.library.bot_queries import PostCard
from services.library.search import FoundPage

#: Before the query, in the first line of a page: the page's buttons read it back from there.
SIGN = "🔎 "
#: Ten posts are to fit into one message.
TITLE_UNITS, TEXT_UNITS, TAGS_SHOWN = 40, 80, 5
SHARED_UNITS = 700


def found(t: Texts, query: str, shown: FoundPage) -> Html:
    return paragraphs(
        Html(f"{SIGN}<b>{escape(query)}</b>"),
        listed(t, shown.posts) or _nothing(t, shown.page),
        t._("Older posts are still being indexed.") if shown.is_partial else None,
    )


def query_of(text: str) -> str | None:
    """What a page's message says was searched for."""
    first = text.partition("\n")[0]
    return first.removeprefix(SIGN) if first.startswith(SIGN) else None


def _nothing(t: Texts, page: int) -> Html:
    if page > 1:
        return t._("That was all.")
    return lines(
        t._("Nothing found among your posts."),
        t._("Try fewer words, or see the newest ones: /latest. What else I can do: /help"),
    )


def latest(t: Texts, shown: FoundPage) -> Html:
    if not shown.posts and shown.page == 1:
        return no_posts(t)
    return paragraphs(t._("🗂 <b>Your newest posts</b>"), listed(t, shown.posts) or t._("That was all."))


def no_posts(t: Texts) -> Html:
    return t._("You have no posts yet. Follow a channel with <code>/add @name</code>, or forward me one of its posts.")


def related(t: Texts, post_id: int, shown: FoundPage) -> Html:
    return paragraphs(
        t._("🔗 <b>Related to {post}</b>", post=f"#{post_id}"),
        listed(t, shown.posts) or t._("None of your other posts shares its rarer tags."),
    )


def listed(t: Texts, posts: Sequence[PostCard]) -> Html:
    return join("\n\n", [_row(t, post) for post in posts])


def _row(t: Texts, post: PostCard) -> Html:
    channel = Html(f"<b>{escape(shorten(post.channel_title or post.channel_username or '—', TITLE_UNITS))}</b>")
    text = link(beginning(post, TEXT_UNITS) or escape("—"), post.url)
    return lines(
        t._("{post} · {channel}: {text}", post=number(post), channel=channel, text=text),
        tags(tuple(shorten(tag, 30) for tag in post.tags[:TAGS_SHOWN])) or None,
    )


def how_to_find(t: Texts) -> Html:
    return paragraphs(
        t._("<b>Find your posts</b> by words, tags and channels, in any mix:"),
        lines(
            t._("<code>/find solar panels</code>: any form of the words"),
            t._("<code>/find #energy @channel</code>: a tag, a channel"),
            t._("<code>/find panels -advert</code>: without a word"),
            t._("<code>/find panels since:2026-01</code>: posted since a year, a month or a day"),
        ),
        t._("Or just send me the words. The newest posts: /latest"),
    )


def bad_since(t: Texts) -> Html:
    return t._(
        "After <code>since:</code> I need a year, a month or a day: <code>since:2026</code>, "
        "<code>since:2026-01</code>, <code>since:2026-01-31</code>."
    )


def search_off(t: Texts) -> Html:
    return t._("Search is switched off on this bot. Your newest posts: /latest")


def draft(t: Texts) -> Html:
    return t._("Shall I tag this text? It will be saved among your posts, in “Drafts”.")


def unknown_command(t: Texts, command: str) -> Html:
    return t._("I don't know the command {command}. All commands: /help", command=shorten(command, 40))


def shared(t: Texts, post: PostCard) -> Html:
    """A post as a message in another chat."""
    return paragraphs(
        Html(f"<b>{escape(shorten(post.channel_title or post.channel_username or '—', TITLE_UNITS))}</b>"),
        beginning(post, SHARED_UNITS),
        tags(post.tags) or None,
        link(t._("Open the post"), post.url) if post.url else None,
    )


def shared_title(post: PostCard) -> str:
    return shorten(post.text or "", 60) or f"#{post.id}"


def shared_description(post: PostCard) -> str:
    return shorten(" · ".join([post.channel_title or post.channel_username or "", *post.tags[:TAGS_SHOWN]]), 120)
