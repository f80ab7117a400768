from bot.i18n import Html, Texts, escape
from bot.views.channels.following import how_to_add
from bot.views.common import TITLE_UNITS, lines, link, paragraphs, shorten
from services.following.channel_names import is_name
from services.following.service import PAGE, ChannelCard, ChannelPage, ChannelProblem, FetchResult


def channels(t: Texts, page: ChannelPage) -> Html:
    if not page.channels:
        return paragraphs(t._("You have no channels yet."), how_to_add(t))
    alone = page.total == 1
    blocks = [_block(t, each, None if alone else number) for number, each in numbered(page)]
    return paragraphs(
        t.ngettext("📡 <b>{count} channel</b>", "📡 <b>{count} channels</b>", page.total),
        *blocks,
        None if alone else t._("Press a channel to see what you can do with it."),
        t._("page {page} of {pages}", page=page.page, pages=page.pages) if page.pages > 1 else None,
    )


def numbered(page: ChannelPage) -> list[tuple[int, ChannelCard]]:
    """The page's channels, each with its number in the whole list."""
    return list(enumerate(page.channels, (page.page - 1) * PAGE + 1))


def card(t: Texts, shown: ChannelCard) -> Html:
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
    return lines(head, posts, *_origin(t, shown), *(_standing(t, shown) if shown.is_read else []))


def _origin(t: Texts, shown: ChannelCard) -> list[Html]:
    """How posts come, if not (only) from the channel's public page."""
    if shown.bot_is_admin:
        told = [t._("🔔 I tell you of each tagged post")] if shown.tells_tagged else []
        return [t._("I'm an admin here"), *told]
    if shown.is_read:
        return []
    return [t._("read by the parser") if shown.is_parsed else t._("added by forwarding or from a file")]


def _standing(t: Texts, shown: ChannelCard) -> list[Html]:
    if shown.checked_at is None and shown.problem is None and not shown.is_paused:
        return [t._("will be read soon")]
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


def remove_question(t: Texts, shown: ChannelCard) -> Html:
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
        t._("I'm an admin there, so new posts will still come: take me out of the channel first.")
        if shown.bot_is_admin
        else None,
    )


def news_switched(t: Texts, *, on: bool) -> str:
    if on:
        return t.plain("On: each post of this channel comes here once it has tags, without a sound.")
    return t.plain("Off: you hear only of posts that fail.")


def fetched(t: Texts, found: FetchResult | None) -> str:
    if found is None or not found.done:
        return t.plain("Reading…")
    if found.problem is not None:
        return t.plain("It could not be read.")
    return t.plain("New posts: {count}", count=found.posts) if found.posts else t.plain("Nothing new.")


def no_more(t: Texts, left: ChannelCard | None) -> str:
    return t.plain("Removed.") if left is None else t.plain("Unfollowed; its posts stay.")


def cannot(t: Texts, shown: ChannelCard | None) -> str:
    if shown is None:
        return t.plain("This channel is not among yours.")
    if not shown.is_read:
        return t.plain("You don't follow this channel. To follow it: /add")
    if shown.is_paused:
        return t.plain("It's paused: resume it first.")
    return t.plain("Nothing to do.")


def address(username: str | None) -> str | None:
    return f"https://t.me/{username}" if is_name(username) else None


def named(title: str, username: str | None) -> Html:
    name = escape(f"@{shorten(username, 64)}") if username else None
    if not title.strip():
        return Html(f"<b>{name or '—'}</b>")
    return Html(f"{bold(title)} ({name})") if name is not None else bold(title)


def bold(text: str | None) -> Html:
    return Html(f"<b>{escape(shorten(text or '—', TITLE_UNITS))}</b>")
