from aiogram.types import BotCommand

from bot.i18n import Html, Texts
from bot.views.common import disabled, lines, paragraphs


def start(t: Texts, *, enabled: bool) -> Html:
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
    commands = (
        t._("/stats — your posts by status"),
        t._("/retry [number] — retry what failed or waits (50 posts)"),
        t._("/failed — the posts that failed"),
        t._("/channels — your channels: pause, fetch now, older posts, remove"),
        t._("/add @name — follow a public channel; t.me links too, and several at once"),
        t._("/remove @name — follow it no more; its posts stay unless you say otherwise"),
        t._("/post number — one post: tags, status, requests"),
        t._("/regen number — new tags for one post, ahead of everything"),
        t._("/tags [part of a tag] — your tags: rename, merge, ban"),
        t._("/merge one tag -&gt; another — for ever; /rename and /ban likewise"),
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
    return [
        BotCommand(command="stats", description=t.plain("Your posts by status")),
        BotCommand(command="retry", description=t.plain("Retry what failed or waits")),
        BotCommand(command="failed", description=t.plain("The posts that failed")),
        BotCommand(command="channels", description=t.plain("Your channels")),
        BotCommand(command="add", description=t.plain("Follow a public channel")),
        BotCommand(command="remove", description=t.plain("Follow a channel no more")),
        BotCommand(command="post", description=t.plain("One post: tags, status, requests")),
        BotCommand(command="regen", description=t.plain("New tags for one post")),
        BotCommand(command="tags", description=t.plain("Your tags: rename, merge, ban")),
        BotCommand(command="hashtags", description=t.plain("Tags as hashtags in your channel")),
        BotCommand(command="export", description=t.plain("Your tagged posts as a file")),
        BotCommand(command="feed", description=t.plain("A link for your feed reader")),
        BotCommand(command="help", description=t.plain("What I can do")),
    ]


def hint(t: Texts) -> Html:
    return t._("Forward me a post of a channel, send me its @name, or see /help.")
