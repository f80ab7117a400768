"""Messages about channels that come unasked: the kind 'channel' of the outbox, and a greeting."""

from collections.abc import Callable, Mapping
from typing import Any

from bot.i18n import Html, Texts
from bot.views.channels.channels import bold, named
from bot.views.channels.hashtags import removed, rights_lost, stay, taken_out
from bot.views.common import lines, paragraphs, shorten, whole


def channel_news(t: Texts, payload: Mapping[str, Any]) -> Html:
    name = str(payload.get("name") or "")
    channel = named(str(payload.get("title") or ""), name)
    known: dict[object, Callable[[], Html]] = {
        "added": lambda: _added(t, payload, channel),
        "older": lambda: _older(t, payload, channel),
        "gone": lambda: _gone(t, payload, name, channel),
        "back": lambda: t._("✅ {channel} can be read again.", channel=channel),
        "renamed": lambda: t._(
            "ℹ️ {channel} has a new name: @{old} is now @{name}. I read on under the new one.",
            channel=bold(str(payload.get("title") or name)),
            old=shorten(str(payload.get("old")), 64),
            name=shorten(name, 64),
        ),
        "delayed": lambda: _delayed(t, payload, name),
        "hashtags_off": lambda: rights_lost(t, str(payload.get("title"))),
        "hashtags_removed": lambda: removed(t, whole(payload.get("post"))),
        "hashtags_stay": lambda: stay(t, whole(payload.get("post"))),
        "taken_out": lambda: taken_out(t, str(payload.get("title"))),
    }
    render = known.get(payload.get("text"))
    return render() if render else t._("⚠️ {text}", text=shorten(str(payload.get("text")), 200))


def _added(t: Texts, payload: Mapping[str, Any], channel: Html) -> Html:
    posts = whole(payload.get("posts"))
    if not posts:
        return paragraphs(
            t._("✅ {channel} is followed.", channel=channel),
            t._("There are no posts yet; new ones will come by themselves."),
        )
    return paragraphs(
        t.ngettext("✅ {channel}: {count} post read.", "✅ {channel}: {count} posts read.", posts, channel=channel),
        lines(
            t._("That is all of them for now.") if payload.get("at_beginning") else None,
            t._("New ones will come by themselves."),
        ),
    )


def _older(t: Texts, payload: Mapping[str, Any], channel: Html) -> Html:
    read = whole(payload.get("read"))
    if not payload.get("done"):
        return t.ngettext(
            "⏪ {channel}: {count} older post read…", "⏪ {channel}: {count} older posts read…", read, channel=channel
        )
    end = t.ngettext(
        "✅ {channel}: {count} older post read.", "✅ {channel}: {count} older posts read.", read, channel=channel
    )
    beginning = t._("That was the channel's beginning: nothing older is left.") if payload.get("at_beginning") else None
    return lines(end, beginning)


def _gone(t: Texts, payload: Mapping[str, Any], name: str, channel: Html) -> Html:
    if payload.get("first"):
        return paragraphs(
            t._("❌ <b>@{name}</b> cannot be read, so I did not add it", name=shorten(name, 64)),
            t._(
                "There is no such public channel, or it is private, or its owner has switched off the preview. Check "
                "the name, and add it again. For a private channel, make me an admin."
            ),
        )
    return paragraphs(
        t._("⚠️ {channel} cannot be read any more", channel=channel),
        t._(
            "It was renamed, deleted or made private, or its owner has switched off the preview. Its posts stay. If it "
            "has a new name, add it under that."
        ),
        t._("I look again now and then. If you do not want that: <code>/remove @{name}</code>", name=shorten(name, 64)),
    )


def _delayed(t: Texts, payload: Mapping[str, Any], name: str) -> Html:
    return paragraphs(
        t._("⏳ <b>@{name}</b> cannot be read just now", name=shorten(name, 64)),
        t._("Telegram shows the page in another form than I know; the administrators are told.")
        if payload.get("problem") == "unreadable"
        else t._("Telegram's server does not answer."),
        t._("I keep trying: the posts come by themselves."),
    )


def channel_added(t: Texts, title: str, *, may_use: bool) -> Html:
    name = shorten(title, 80)
    if may_use:
        return t._("✅ From now on I tag new posts in <b>{name}</b>.", name=name)
    return t._("I am in <b>{name}</b>, but this bot is private: send /start to ask for access.", name=name)
