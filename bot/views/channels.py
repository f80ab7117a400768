"""Messages about channels: the list, a card, what came of /add and /remove."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.i18n import Html, Texts, escape, join
from bot.keyboards.channels import numbered
from bot.views.common import TITLE_UNITS, lines, link, paragraphs, shorten
from services.following.channel_names import MOST_NAMES, Reason, Unusable, is_name
from services.following.service import (
    MOST_CHANNELS,
    AddOutcome,
    AddResult,
    ChannelCard,
    ChannelPage,
    ChannelProblem,
    FetchResult,
)

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
        _unread(t, page.channels),
        None if alone else _legend(t, page.channels),
        t._("page {page} of {pages}", page=page.page, pages=page.pages) if page.pages > 1 else None,
    )


def _legend(t: Texts, shown: Sequence[ChannelCard]) -> Html:
    """What the signs on the buttons mean, of those that there are."""
    is_read = any(each.is_read for each in shown)
    signs = (
        (t._("⏸ pause"), any(each.is_read and not each.is_paused for each in shown)),
        (t._("▶️ resume"), any(each.is_read and each.is_paused for each in shown)),
        (t._("🔄 fetch now"), is_read),
        (t._("🗑 remove"), True),
        (t._("⋯ older posts"), is_read),
        (t._("➕ follow"), any(not each.is_read and is_name(each.username) for each in shown)),
    )
    return join(" · ", [sign for sign, is_there in signs if is_there])


def _unread(t: Texts, shown: Sequence[ChannelCard]) -> Html | None:
    if all(each.is_read for each in shown):
        return None
    return t._(
        "Channels that I do not read get their posts by forwards, imports, the parser, or me being in the channel."
    )


def card(t: Texts, shown: ChannelCard) -> Html:
    """A channel by itself."""
    return paragraphs(_block(t, shown, None), _unread(t, [shown]))


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
        return [t._("not read by me")]
    if shown.checked_at is None and shown.problem is None and not shown.is_paused:
        return [t._("about to be read for the first time")]
    older = (
        [t.ngettext("⏪ older posts: {count} read…", "⏪ older posts: {count} read…", shown.older_read)]
        if shown.older_wanted
        else []
    )
    if shown.is_paused:
        return [t._("⏸ paused"), *older]
    if shown.problem is not None:
        return [_problem(t, shown, shown.problem), *older]
    return [*([t._("checked {ago}", ago=t.ago(shown.checked_at))] if shown.checked_at else []), *older]


def _problem(t: Texts, shown: ChannelCard, problem: ChannelProblem) -> Html:
    words = {
        ChannelProblem.GONE: t._(
            "⚠️ cannot be read: there is no such public channel, or it is private, or its owner has switched off the "
            "preview. Check the name, or remove it"
        ),
        ChannelProblem.UNREADABLE: t._(
            "⚠️ cannot be read: Telegram's page has a form that I do not know. The administrators know; I keep trying"
        ),
        ChannelProblem.UNAVAILABLE: t._("⚠️ Telegram's page does not answer. Nothing to do: I keep trying"),
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


def offer(t: Texts, name: str) -> Html:
    """To a message that is nothing but a channel's name; under it stands Follow."""
    return t._(
        "Shall I read the public channel @{name}? Press the button: its last posts get tags, and each new one.",
        name=name,
    )


def known(t: Texts, name: str) -> Html:
    """The same of a channel that is followed."""
    return t._("You follow @{name} already: /channels", name=name)


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


def additions(t: Texts, added: Sequence[AddResult], unusable: Sequence[Unusable]) -> Html:
    """What came of the names of an /add."""
    names = {outcome: _names(each.name for each in added if each.outcome is outcome) for outcome in AddOutcome}
    told = {
        AddOutcome.NEW: t._("⏳ Reading: {names}", names=names[AddOutcome.NEW]),
        AddOutcome.KNOWN: t._("✅ Followed already; I look for new posts now: {names}", names=names[AddOutcome.KNOWN]),
        AddOutcome.TOO_MANY: t._(
            "🚫 You follow {most} channels, the maximum. Remove one first, then add {names}",
            most=MOST_CHANNELS,
            names=names[AddOutcome.TOO_MANY],
        ),
    }
    return lines(*(told[outcome] for outcome in AddOutcome if names[outcome]), *_unusable(t, unusable))


def removed(t: Texts, gone: Sequence[str], others: Sequence[str], unusable: Sequence[Unusable]) -> Html:
    """What came of the names of a /remove: those that are read no more, those that were not, and what is no name."""
    return lines(
        t._("🗑 Not read any more; the posts stay: {names}", names=_names(gone)) if gone else None,
        t._("🚫 Not among the channels that I read for you: {names}", names=_names(others)) if others else None,
        *_unusable(t, unusable),
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"@{name}" for name in names)


def _unusable(t: Texts, unusable: Sequence[Unusable]) -> list[Html]:
    """What is said of words that name no public channel, and why; of many, the first."""
    words = {
        reason: ", ".join(shorten(each.word, 64) for each in unusable[:UNUSABLE_SHOWN] if each.reason is reason)
        for reason in Reason
    }
    told = {
        Reason.PRIVATE: t._(
            "🔒 Private, so I cannot read it (make me an administrator there): {words}", words=words[Reason.PRIVATE]
        ),
        Reason.NO_CHANNEL: t._("🚫 Not a link to a channel: {words}", words=words[Reason.NO_CHANNEL]),
        Reason.NO_NAME: t._(
            "🚫 Not a channel's name (one looks like @name or t.me/name): {words}", words=words[Reason.NO_NAME]
        ),
        Reason.TOO_MANY: t._(
            "🚫 More than {most} at once; send the rest by itself: {words}",
            most=MOST_NAMES,
            words=words[Reason.TOO_MANY],
        ),
    }
    more = len(unusable) - UNUSABLE_SHOWN
    return [
        *(told[reason] for reason in Reason if words[reason]),
        *([t.ngettext("and {count} more", "and {count} more", more)] if more > 0 else []),
    ]


def followed(t: Texts, added: AddResult) -> str:
    """The answer to a press on Follow."""
    name = added.name
    match added.outcome:
        case AddOutcome.NEW:
            return t.plain("Reading…")
        case AddOutcome.KNOWN:
            return t.plain("You follow @{name} already.", name=name)
        case AddOutcome.TOO_MANY:
            return t.plain("You follow {most} channels, the maximum. Remove one first.", most=MOST_CHANNELS)


def fetched(t: Texts, found: FetchResult | None) -> str:
    """What came of a wish to read a channel now, for a toast."""
    if found is None or not found.done:
        return t.plain("Reading…")
    if found.problem is not None:
        return t.plain("It could not be read.")
    return t.plain("New posts: {count}", count=found.posts) if found.posts else t.plain("Nothing new.")


def no_more(t: Texts, left: ChannelCard | None) -> str:
    """The answer to the removal of a channel, which is still in the list for its posts' sake, or not."""
    return t.plain("Removed.") if left is None else t.plain("No longer read; its posts stay.")


def cannot(t: Texts, shown: ChannelCard | None) -> str:
    """Why a press does nothing."""
    if shown is None:
        return t.plain("This channel is not yours (any more).")
    if not shown.is_read:
        return t.plain("I do not read this channel for you. To have it read: /add")
    if shown.is_paused:
        return t.plain("It is paused: resume it first.")
    return t.plain("Nothing to do.")


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
