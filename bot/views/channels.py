"""Messages about channels: the list, a card, what came of /add and /remove."""

from __future__ import annotations

from collections.abc import Sequence

from bot.i18n import Html, Texts, escape
from bot.keyboards.channels import numbered
from bot.views.common import TITLE_UNITS, lines, link, paragraphs, shorten
from services.channels import MOST_CHANNELS, Added, Addition, ChannelCard, ChannelPage, Problem
from services.names import MOST_NAMES, Reason, Unusable, is_name

#: Words without a channel that are told of one /add.
UNUSABLE_SHOWN = 10


def channels(t: Texts, page: ChannelPage) -> Html:
    """/channels."""
    if not page.channels:
        return paragraphs(t._("You have no channels yet."), how_to_add(t))
    alone = page.total == 1
    blocks = [_block(t, each, None if alone else number) for number, each in numbered(page)]
    return paragraphs(
        t.ngettext("📡 <b>{count} channel</b>", "📡 <b>{count} channels</b>", page.total),
        *blocks,
        None if alone else _legend(t, page.channels),
        t._("page {page} of {pages}", page=page.page, pages=page.pages) if page.pages > 1 else None,
    )


def _legend(t: Texts, shown: Sequence[ChannelCard]) -> Html:
    if any(each.is_read for each in shown):
        return t._("⏸ pause · ▶️ resume · 🔄 fetch now · 🗑 remove · ⋯ older posts · ➕ follow")
    return t._("🗑 remove · ➕ follow")


def card(t: Texts, shown: ChannelCard) -> Html:
    """A channel by itself."""
    return _block(t, shown, None)


def _block(t: Texts, shown: ChannelCard, number: int | None) -> Html:
    title = link(bold(shown.title or shown.username), address(shown.username))
    posts = (
        t.ngettext(
            "{count} post, {share} tagged",
            "{count} posts, {share} tagged",
            shown.posts,
            share=t.percent(shown.tagged, shown.posts),
        )
        if shown.posts
        else t._("no posts yet")
    )
    head = title if number is None else Html(f"{number}. {title}")
    return lines(head, posts, *_standing(t, shown))


def _standing(t: Texts, shown: ChannelCard) -> list[Html]:
    if not shown.is_read:
        return [t._("not read by me: its posts come by forwards, imports or the bot in the channel")]
    older = (
        [t.ngettext("⏪ older posts: {count} read…", "⏪ older posts: {count} read…", shown.older_read)]
        if shown.older_wanted
        else []
    )
    if shown.is_paused:
        return [t._("⏸ paused"), *older]
    if shown.problem is not None:
        return [_problem(t, shown, shown.problem), *older]
    if shown.checked_at is None:
        return [t._("about to be read for the first time"), *older]
    return [t._("checked {ago}", ago=t.ago(shown.checked_at)), *older]


def _problem(t: Texts, shown: ChannelCard, problem: Problem) -> Html:
    words = {
        Problem.GONE: t._(
            "⚠️ cannot be read: there is no such public channel, or it is private, or its owner has switched off the "
            "preview. Check the name, or remove it"
        ),
        Problem.UNREADABLE: t._(
            "⚠️ cannot be read: Telegram's page has a form that I do not know. The administrators know; I keep trying"
        ),
        Problem.UNAVAILABLE: t._("⚠️ Telegram's page does not answer. Nothing to do: I keep trying"),
    }
    since = shown.problem_since
    return words[problem] if since is None else t._("{problem} (since {at})", problem=words[problem], at=since)


def question(t: Texts, shown: ChannelCard) -> Html:
    """Whether to remove a channel."""
    name = named(shown.title, shown.username)
    if not shown.posts:
        return t._("Remove {channel}?", channel=name)
    if shown.is_read:
        return t.ngettext(
            "Remove {channel}? Its {count} post stays, unless you remove it too.",
            "Remove {channel}? Its {count} posts stay, unless you remove them too.",
            shown.posts,
            channel=name,
        )
    return paragraphs(
        t.ngettext(
            "Remove {channel} with its {count} post?",
            "Remove {channel} with its {count} posts?",
            shown.posts,
            channel=name,
        ),
        t._("If I am in the channel, its new posts will still come: take me out of it first."),
    )


def how_to_add(t: Texts) -> Html:
    """How posts come to the bot: for a list without channels, and to an /add without any."""
    return lines(
        t._("• <code>/add @name</code> or a t.me link, several at once too: I read the public channel"),
        t._("• reply /add to a post that you forwarded to me: I read its channel"),
        t._("• make me an administrator of a channel, also of a private one: I see its new posts"),
    )


def usage_remove(t: Texts) -> Html:
    """To a /remove without a name."""
    return t._("Usage: <code>/remove @name</code> or a t.me link; /channels lists your channels")


def no_public_name(t: Texts) -> Html:
    """To an /add of a private channel's post."""
    return t._(
        "This channel has no public name, so I cannot read it. Make me its administrator to have its new posts, or "
        "forward me single ones."
    )


def reading(t: Texts, name: str) -> Html:
    """A channel was added; this message is going to show what came of it."""
    return t._("⏳ Reading @{name}…", name=name)


def additions(t: Texts, added: Sequence[Addition], unusable: Sequence[Unusable]) -> Html:
    """What came of each name of an /add."""
    more = len(unusable) - UNUSABLE_SHOWN
    return lines(
        *(_addition(t, each) for each in added),
        *(_unusable(t, each) for each in unusable[:UNUSABLE_SHOWN]),
        t.ngettext("and {count} more", "and {count} more", more) if more > 0 else None,
    )


def _addition(t: Texts, each: Addition) -> Html:
    match each.outcome:
        case Added.NEW:
            return reading(t, each.name)
        case Added.KNOWN:
            return t._("✅ @{name}: you follow it already; I look for new posts now", name=each.name)
        case Added.TOO_MANY:
            return t._(
                "🚫 @{name}: you follow {most} channels, and that is the most; remove one first",
                name=each.name,
                most=MOST_CHANNELS,
            )


def _unusable(t: Texts, each: Unusable) -> Html:
    word = shorten(each.word, 64)
    match each.reason:
        case Reason.PRIVATE:
            return t._(
                "🔒 {word}: a private link, which I cannot read; make me an administrator of that channel", word=word
            )
        case Reason.NO_CHANNEL:
            return t._("🚫 {word}: this link is no channel's", word=word)
        case Reason.NO_NAME:
            return t._("🚫 {word}: no name of a channel; one looks like @name or t.me/name", word=word)
        case Reason.TOO_MANY:
            return t._("🚫 {word}: more than {most} at once; send it again by itself", word=word, most=MOST_NAMES)


def followed(t: Texts, added: Addition) -> str:
    """The answer to a press on Follow."""
    name = added.name
    match added.outcome:
        case Added.NEW:
            return t.plain("Reading…")
        case Added.KNOWN:
            return t.plain("You follow @{name} already.", name=name)
        case Added.TOO_MANY:
            return t.plain("You follow {most} channels, and that is the most: remove one first.", most=MOST_CHANNELS)


def removed(t: Texts, names: Sequence[str], others: Sequence[str], unusable: Sequence[Unusable]) -> Html:
    """What came of a /remove with several names: those that are read no more, those that were not, and no names."""
    return lines(
        *(t._("🗑 @{name}: not read any more; its posts stay", name=name) for name in names),
        *(t._("🚫 @{name}: not among the channels that I read for you", name=name) for name in others),
        *(_unusable(t, each) for each in unusable[:UNUSABLE_SHOWN]),
    )


def cannot(t: Texts, shown: ChannelCard | None) -> str:
    """Why a press does nothing."""
    if shown is None:
        return t.plain("This channel is not yours (any more).")
    if not shown.is_read:
        return t.plain("I do not read this channel for you. To have it read: /add")
    if shown.is_paused:
        return t.plain("It is paused: resume it first.")
    return t.plain("Nothing to do: this is how it stands.")


def address(username: str | None) -> str | None:
    """Where a channel with a public name is."""
    return f"https://t.me/{username}" if is_name(username) else None


def named(title: str, username: str | None) -> Html:
    """Title and name; the name alone where there is no title."""
    name = escape(f"@{shorten(username, 64)}") if username else None
    if not title.strip():
        return Html(f"<b>{name or '—'}</b>")
    return Html(f"{bold(title)} ({name})") if name is not None else bold(title)


def bold(text: str | None) -> Html:
    """A title of any length, in bold."""
    return Html(f"<b>{escape(shorten(text or '—', TITLE_UNITS))}</b>")
