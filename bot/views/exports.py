"""What goes out again: exports, and the links of feeds."""

from __future__ import annotations

from bot.i18n import Html, Texts
from bot.views.common import lines, paragraphs, shorten


def choose_export(t: Texts) -> Html:
    """/export: over its two buttons."""
    return paragraphs(
        t._("📤 I send you your tagged posts as a file. Which one?"),
        lines(
            t._("• CSV is for Excel and other spreadsheets"),
            t._("• JSON Lines is for programs: an object in each line"),
        ),
    )


def usage_export(t: Texts) -> Html:
    """To /export with another word."""
    return t._("Usage: <code>/export</code>, <code>/export csv</code> or <code>/export jsonl</code>")


def export_begun(t: Texts) -> Html:
    """While the file is made."""
    return t._("⏳ I am making the file; it comes here when it is ready.")


def export_under_way(t: Texts) -> str:
    """To whoever asks for a second one meanwhile."""
    return t.plain("⏳ Your file is being made already: wait until it comes.")


def exported(t: Texts, posts: int, number: int, count: int) -> Html:
    """Under a file; `number` of `count` files."""
    text = t.ngettext("📤 {count} tagged post", "📤 {count} tagged posts", posts)
    return lines(text, t._("Part {number} of {parts}", number=number, parts=count) if count > 1 else None)


def nothing_to_export(t: Texts) -> Html:
    """No post has tags."""
    return t._("There is nothing to export: none of your posts has tags yet. /stats shows how far they are.")


def export_not_sent(t: Texts) -> Html:
    """Telegram does not take the file."""
    return t._("⚠️ Telegram did not take the file. Try /export again later.")


def export_not_made(t: Texts) -> Html:
    """The database does not answer, or the disk is full."""
    return t._("⚠️ The file could not be made. Try /export again in a few minutes.")


def export_broken_off(t: Texts) -> Html:
    """The bot stops."""
    return t._("⚠️ The bot is being restarted, and your file was not finished. Send /export again in a minute.")


def feed(t: Texts, link: str, tag: str | None, *, is_empty: bool = False) -> Html:
    """/feed: the secret link. `is_empty`: nothing has the tag."""
    head = (
        t._("📰 <b>RSS feed of your tagged posts</b>")
        if tag is None
        else t._("📰 <b>RSS feed of your posts with the tag {tag}</b>", tag=shorten(tag, 100))
    )
    return paragraphs(
        head,
        t._("<code>{link}</code>", link=link),
        t._("None of your posts has this tag yet: the feed stays empty until one does.") if is_empty else None,
        lines(
            t._("Add it to your feed reader. Whoever has this link can read these posts: keep it to yourself."),
            t._("One tag only: <code>/feed tag</code>") if tag is None else None,
        ),
    )


def feed_about(t: Texts, tag: str | None) -> str:
    """What a feed's reader says of it."""
    return t.plain("Your tagged posts") if tag is None else t.plain("Your posts with the tag “{tag}”", tag=tag)


def feed_renewed(t: Texts) -> str:
    """The answer to a press on New link."""
    return t.plain("The links from before no longer work.")


def no_public_url(t: Texts, *, admin: bool) -> Html:
    """/feed where there is no address to build a link with."""
    if admin:
        return t._(
            "Feeds need an address under which users reach Metka's HTTP server. Set "
            "<code>PUBLIC_URL=https://…</code> in .env, have a reverse proxy pass <code>/feeds/</code> on to "
            "the bot, and restart the bot."
        )
    return t._("There are no feeds here yet: the administrator has to set <code>PUBLIC_URL</code> and restart the bot.")


def tag_too_long(t: Texts) -> Html:
    """To /feed with something that is no tag."""
    return t._("A tag has 100 characters at most.")
