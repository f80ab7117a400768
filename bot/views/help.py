from aiogram.types import BotCommand

from bot.i18n import Html, Texts
from bot.views.common import disabled, lines, paragraphs


def start(t: Texts, *, enabled: bool) -> Html:
    return paragraphs(
        t._("👋 I tag the posts of your Telegram channels with a language model, and keep at it until they have tags."),
        lines(
            t._("<b>What to do next</b>"),
            t._("• <code>/add @name</code>: I read a public channel, its last posts and each new one"),
            t._("• add me to your channel as an admin: I tag its new posts"),
            t._("• or forward me a post from a channel: I reply with its tags"),
            t._("• or send me result.json, an export from Telegram Desktop: I tag all its posts"),
            t._("• /stats: tagging progress · /help: all commands"),
        ),
        None if enabled else disabled(t),
    )


def help_text(t: Texts, *, admin: bool, enabled: bool) -> Html:
    """Each line fits a phone."""
    return paragraphs(
        t._("<b>Commands</b>"),
        lines(
            t._("<b>Your channels</b>"),
            t._("/add @name — follow a public channel"),
            t._("/channels — pause, fetch, older posts"),
            t._("/remove @name — unfollow"),
        ),
        lines(
            t._("<b>Tagging</b>"),
            t._("/stats — how many posts have tags"),
            t._("🗞 in /stats — a daily or weekly digest"),
            t._("/failed — posts that failed"),
            t._("/retry — try them again"),
            t._("/post 5 — a post and its tags"),
            t._("/regen 5 — new tags for it, at once"),
        ),
        lines(
            t._("<b>Using the tags</b>"),
            t._("/find words #tag — search your posts"),
            t._("/latest — your newest posts"),
            t._("/watch #tag — hear of new ones"),
            t._("/watches — what you watch"),
            t._("/tags — rename, merge, ban"),
            t._("/rules — which tags you want"),
            t._("/hashtags — write them into a channel"),
            t._("/export — your posts as a file"),
            t._("/feed — a feed for an RSS reader"),
            t._("/settings — time zone, quiet hours"),
        ),
        lines(
            t._("<b>Administrators</b>"),
            t._("/stats all — everybody's posts"),
            t._("/retry force [all] — attempts anew"),
        )
        if admin
        else None,
        t._(
            "You can also forward me a post, make me an administrator of your channel, or send me result.json, an "
            "export from Telegram Desktop."
        ),
        None if enabled else disabled(t),
    )


def commands(t: Texts) -> list[BotCommand]:
    return [
        BotCommand(command="stats", description=t.plain("Your posts by status")),
        BotCommand(command="find", description=t.plain("Search your posts")),
        BotCommand(command="latest", description=t.plain("Your newest posts")),
        BotCommand(command="watch", description=t.plain("Hear of new posts with a tag or words")),
        BotCommand(command="watches", description=t.plain("What you watch")),
        BotCommand(command="retry", description=t.plain("Retry failed and waiting posts")),
        BotCommand(command="failed", description=t.plain("The posts that failed")),
        BotCommand(command="channels", description=t.plain("Your channels")),
        BotCommand(command="add", description=t.plain("Follow a public channel")),
        BotCommand(command="remove", description=t.plain("Unfollow a channel")),
        BotCommand(command="post", description=t.plain("One post: tags, status, requests")),
        BotCommand(command="regen", description=t.plain("New tags for one post")),
        BotCommand(command="tags", description=t.plain("Your tags: rename, merge, ban")),
        BotCommand(command="hashtags", description=t.plain("Tags as hashtags in your channel")),
        BotCommand(command="rules", description=t.plain("Which tags you want")),
        BotCommand(command="export", description=t.plain("Your tagged posts as a file")),
        BotCommand(command="feed", description=t.plain("A link for your feed reader")),
        BotCommand(command="settings", description=t.plain("Time zone, notices, quiet hours")),
        BotCommand(command="help", description=t.plain("What I can do")),
    ]


def hint(t: Texts) -> Html:
    return t._("Forward me a post of a channel, send me its @name, or see /help.")
