"""/start, /help, usage lines, and what is said to whatever else comes."""

from __future__ import annotations

from aiogram.types import BotCommand

from bot.i18n import Html, Texts
from bot.views.common import disabled, lines, paragraphs, shorten


def start(t: Texts, *, enabled: bool) -> Html:
    """/start: what the bot does and what to do next."""
    return paragraphs(
        t._("👋 I tag the posts of your Telegram channels with a language model, and keep at it until they have tags."),
        lines(
            t._("<b>What to do next</b>"),
            t._("• <code>/add @name</code>: I read a public channel, its last posts and each new one"),
            t._("• make me an administrator of your channel: I tag its new posts"),
            t._("• or forward me a channel's post: I answer with its tags"),
            t._("• or send me the file result.json of an export from Telegram Desktop: I tag all its posts"),
            t._("• /stats shows how far your posts are, /help all commands"),
        ),
        None if enabled else disabled(t),
    )


def help_text(t: Texts, *, admin: bool, enabled: bool) -> Html:
    """/help: every command in a line."""
    commands = (
        t._("/stats — your posts by status"),
        t._("/retry [number] — retry what failed or waits (50 posts)"),
        t._("/failed — the posts that failed"),
        t._("/channels — your channels: pause, fetch now, older posts, remove"),
        t._("/add @name — follow a public channel; t.me links too, and several at once"),
        t._("/remove @name — follow it no more; its posts stay unless you say otherwise"),
        t._("/post number — one post: tags, status, requests"),
        t._("/regen number — new tags for one post, ahead of everything"),
        t._("/hashtags — write the tags into your channel's posts"),
        t._("/export — your tagged posts as a file: CSV or JSON Lines"),
        t._("/feed [tag] — a link for your feed reader (RSS)"),
    )
    admins = (
        t._("<b>Administrators</b>"),
        t._("/stats all — everybody's posts"),
        t._("/retry force [all] [number] — count attempts anew, end a pause"),
    )
    return paragraphs(
        t._("<b>Commands</b>"),
        lines(*commands),
        lines(*admins) if admin else None,
        t._(
            "Forward me a channel's post to have it tagged; make me an administrator of a channel to have all new ones "
            "tagged; send me the file result.json of an export from Telegram Desktop to have the old ones tagged."
        ),
        None if enabled else disabled(t),
    )


def commands(t: Texts) -> list[BotCommand]:
    """The menu that Telegram shows."""
    return [
        BotCommand(command="stats", description=t.plain("Your posts by status")),
        BotCommand(command="retry", description=t.plain("Retry what failed or waits")),
        BotCommand(command="failed", description=t.plain("The posts that failed")),
        BotCommand(command="channels", description=t.plain("Your channels")),
        BotCommand(command="add", description=t.plain("Follow a public channel")),
        BotCommand(command="remove", description=t.plain("Follow a channel no more")),
        BotCommand(command="post", description=t.plain("One post: tags, status, requests")),
        BotCommand(command="regen", description=t.plain("New tags for one post")),
        BotCommand(command="hashtags", description=t.plain("Tags as hashtags in your channel")),
        BotCommand(command="export", description=t.plain("Your tagged posts as a file")),
        BotCommand(command="feed", description=t.plain("A link for your feed reader")),
        BotCommand(command="help", description=t.plain("What I can do")),
    ]


def hint(t: Texts) -> Html:
    """To anything that is no command."""
    return t._("Forward me a post of a channel, send me its @name, or see /help.")


def no_text(t: Texts) -> Html:
    """To a forwarded post without text."""
    return t._("⏭ This post has no text to tag.")


def usage_post(t: Texts) -> Html:
    """To /post with a bad id."""
    return t._("Usage: <code>/post 123</code> — the number of a post, as in /failed")


def usage_regen(t: Texts) -> Html:
    """To /regen with a bad id."""
    return t._("Usage: <code>/regen 123</code> — the number of a post, as in /failed")


def usage_stats(t: Texts) -> Html:
    """To /stats with a word it does not know."""
    return t._("Usage: <code>/stats</code>, administrators also <code>/stats all</code>")


def usage_retry(t: Texts, *, admin: bool) -> Html:
    """To /retry with a bad limit."""
    if admin:
        return t._("Usage: <code>/retry 50</code> or <code>/retry force all 50</code> — 1 to 1000 posts")
    return t._("Usage: <code>/retry 50</code> — 1 to 1000 posts, 50 without a number")


def admins_only(t: Texts) -> Html:
    """A clear refusal."""
    return t._("🚫 That is for administrators only.")


def private_only(t: Texts) -> Html:
    """Said in groups."""
    return t._("I work in a private chat only: write to me there.")


def unavailable(t: Texts) -> Html:
    """The database is away."""
    return t._("⚠️ Temporarily unavailable, try again in a minute.")


def went_wrong(t: Texts) -> Html:
    """A bug of ours."""
    return t._("⚠️ Something went wrong; the error is in the log. Try again later.")


def too_many(t: Texts) -> Html:
    """Said once to whoever sends too much."""
    return t._("⏳ Too much at once: wait a few seconds.")


def channel_added(t: Texts, title: str, *, may_use: bool) -> Html:
    """To whoever made the bot an administrator of a channel."""
    name = shorten(title, 80)
    if may_use:
        return t._("✅ I see new posts of <b>{name}</b> now and tag them.", name=name)
    return t._("I am in <b>{name}</b>, but this bot is private: send /start to ask for access.", name=name)
