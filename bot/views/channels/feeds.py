from bot.i18n import Html, Texts
from bot.views.common import lines, paragraphs, shorten


def feed(t: Texts, link: str, tag: str | None, *, is_empty: bool = False) -> Html:
    """`is_empty`: no post has the tag yet."""
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
            t._("Add it to your feed reader. Anyone with this link can read these posts: keep it to yourself."),
            t._("One tag only: <code>/feed tag</code>") if tag is None else None,
        ),
    )


def ask_new_link(t: Texts, link: str) -> Html:
    return paragraphs(
        t._("🔑 <b>Make a new link?</b>"),
        t._("All your feed links from before stop working, those with a tag, too. This is the one at hand:"),
        t._("<code>{link}</code>", link=link),
    )


def feed_about(t: Texts, tag: str | None) -> str:
    """The description inside the RSS document."""
    return t.plain("Your tagged posts") if tag is None else t.plain("Your posts with the tag “{tag}”", tag=tag)


def feed_renewed(t: Texts) -> str:
    return t.plain("Earlier links no longer work.")


def no_public_url(t: Texts, *, admin: bool) -> Html:
    if admin:
        return t._(
            "Feeds need an address under which users reach Metka's HTTP server. Set "
            "<code>PUBLIC_URL=https://…</code> in .env, have a reverse proxy pass <code>/feeds/</code> on to "
            "the bot, and restart the bot."
        )
    return t._("There are no feeds here yet: the administrator has to set <code>PUBLIC_URL</code> and restart the bot.")


def tag_too_long(t: Texts) -> Html:
    return t._("A tag has 100 characters at most.")
