"""The preview's HTML as Telegram writes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape

from sandbox.preview.channel import Message, PreviewChannel

P = "tgme_widget_message"
_EMOJI = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]\ufe0f?")
_LINK = re.compile(r"https?://[^\s<]+|(?<![\w&])#\w+")

Body = Callable[[PreviewChannel, Message], str]


def channel_page(channel: PreviewChannel, shown: Sequence[Message], before: int | None) -> str:
    """A page of a channel; `before` is the parameter in the link to older posts."""
    title, name = escape(channel.title), channel.name
    older = "" if before is None else _link_to_older(name, before)
    messages = "".join(_message(channel, message) for message in shown)
    return f"""<!DOCTYPE html>
<html>
<head><meta charset="utf-8"><title>{title} – Telegram</title>
<meta property="og:title" content="{title}"><link rel="canonical" href="/s/{name}">
<script>document.cookie = "stel_dt=1;path=/";</script></head>
<body class="widget_frame_base tgme_webpreview emoji_image">
<header class="tgme_header search_collapsed"><div class="tgme_container"><div class="tgme_header_info">
<a class="tgme_header_link" href="https://t.me/{name}"><i class="tgme_page_photo_image bgcolor1"></i>
<div class="tgme_header_title_wrap"><div class="tgme_header_title"><span dir="auto">{title}</span></div></div></a>
</div></div></header>
<main class="tgme_main" data-url="/{name}"><div class="tgme_container">
<section class="tgme_right_column"><div class="tgme_channel_info"><div class="tgme_channel_info_header">
<div class="tgme_channel_info_header_title_wrap"><div class="tgme_channel_info_header_title"><span dir="auto">{title}\
</span></div></div><div class="tgme_channel_info_header_username"><a href="https://t.me/{name}">@{name}</a></div>
</div></div></section>
<section class="tgme_channel_history js-message_history">{older}{messages}</section>
</div></main>
<script>TWeb.init();</script>
</body>
</html>
"""


def info_page(name: str, channel: PreviewChannel | None) -> str:
    """The page t.me/NAME, which shows no posts."""
    title = f"Telegram: {'Contact' if channel is None else 'View'} @{escape(name)}"
    shown = "" if channel is None else f'<div class="tgme_page_title"><span>{escape(channel.title)}</span></div>'
    return f"""<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>{title}</title><meta property="og:title" content="{title}"></head>
<body class="no_transition"><div class="tgme_page_wrap"><div class="tgme_body_wrap"><div class="tgme_page">
{shown}<div class="tgme_page_description">If you have <strong>Telegram</strong>, you can view it right away.</div>
<div class="tgme_page_action"><a class="tgme_action_button_new" href="tg://resolve?domain={escape(name)}">View</a></div>
</div></div></div></body></html>
"""


def text_html(text: str) -> str:
    """A text with markup for emoji, links and line breaks."""
    linked = _LINK.sub(lambda found: _anchor(found[0]), escape(text, quote=False))
    return _EMOJI.sub(lambda found: _emoji(found[0]), linked).replace("\n", "<br/>")


def _anchor(shown: str) -> str:
    if shown.startswith("#"):
        return f'<a href="?q=%23{shown[1:]}">{shown}</a>'
    return f'<a href="{shown}" target="_blank" rel="noopener">{shown}</a>'


def _emoji(character: str) -> str:
    picture = character.encode().hex().upper()
    return (
        f'<i class="emoji" style="background-image:url(\'//telegram.org/img/emoji/40/{picture}.png\')">'
        f"<b>{character}</b></i>"
    )


def _link_to_older(name: str, before: int) -> str:
    return (
        f'<div class="{P}_centered js-messages_more_wrap"><a href="/s/{name}?before={before}" '
        f'class="tme_messages_more js-messages_more" data-before="{before}"></a></div>'
    )


def _message(channel: PreviewChannel, message: Message) -> str:
    name, service = channel.name, "service_message " if message.kind == "service" else ""
    return f"""
<div class="{P}_wrap js-widget_message_wrap"><div class="{P} text_not_supported_wrap {service}js-widget_message" \
data-post="{name}/{message.number}"><div class="{P}_user"><a href="https://t.me/{name}">\
<i class="{P}_user_photo bgcolor1"></i></a></div><div class="{P}_bubble">\
<div class="{P}_author accent_color"><a class="{P}_owner_name" href="https://t.me/{name}">\
<span dir="auto">{escape(channel.title)}</span></a></div>{KINDS[message.kind](channel, message)}\
{_footer(channel, message)}</div></div></div>"""


def _footer(channel: PreviewChannel, message: Message) -> str:
    time = message.posted_at
    edited = "edited &nbsp;" if message.edited else ""
    return (
        f'<div class="{P}_footer compact js-message_footer"><div class="{P}_info short js-message_info">'
        f'<span class="{P}_views">{message.views}</span><span class="copyonly"> views</span><span class="{P}_meta">'
        f'{edited}<a class="{P}_date" href="https://t.me/{channel.name}/{message.number}">'
        f'<time datetime="{time.isoformat()}" class="time">{time:%H:%M}</time></a></span></div></div>'
    )


def _text(channel: PreviewChannel, message: Message) -> str:
    html = text_html(message.text) if message.html is None else message.html
    return f'<div class="{P}_text js-message_text" dir="auto">{html}</div>' if html else ""


def _nested(channel: PreviewChannel, message: Message) -> str:
    return f'<div class="{P}_text js-message_text" dir="auto">{_text(channel, message)}</div>'


def _reply(channel: PreviewChannel, message: Message) -> str:
    return (
        f'<a class="{P}_reply" href="https://t.me/{channel.name}/1"><div class="{P}_author accent_color">'
        f'<span class="{P}_author_name">Somebody</span></div><div class="{P}_text js-message_reply_text" dir="auto">'
        f"What was answered</div></a>{_text(channel, message)}"
    )


def _forwarded(channel: PreviewChannel, message: Message) -> str:
    origin = (
        f'<a class="{P}_forwarded_from_name" href="https://t.me/other/5"><span dir="auto">Another channel</span></a>'
    )
    forwarded = f'<div class="{P}_forwarded_from accent_color">Forwarded from {origin}</div>'
    return forwarded + _text(channel, message)


def _photo(channel: PreviewChannel, message: Message) -> str:
    address = f"https://t.me/{channel.name}/{message.number}"
    photo = f'<a class="{P}_photo_wrap js-message_photo" href="{address}"><div class="{P}_photo"></div></a>'
    return photo + _text(channel, message)


def _video(channel: PreviewChannel, message: Message) -> str:
    address = f"https://t.me/{channel.name}/{message.number}"
    return (
        f'<a class="{P}_video_player js-message_video_player" href="{address}"><i class="{P}_video_thumb"></i>'
        '<time class="message_video_duration js-message_video_duration">0:29</time></a>' + _text(channel, message)
    )


def _album(channel: PreviewChannel, message: Message) -> str:
    photos = "".join(
        f'<a class="{P}_photo_wrap grouped_media_wrap blured js-message_photo" '
        f'href="https://t.me/{channel.name}/{number}?single"></a>'
        for number in (message.number, *message.members)
    )
    layer = f'<div class="{P}_grouped_layer js-message_grouped_layer">{photos}</div>'
    return f'<div class="{P}_grouped_wrap js-message_grouped_wrap">{layer}</div>{_text(channel, message)}'


def _document(channel: PreviewChannel, message: Message) -> str:
    shown = f'<div class="{P}_document_title accent_color">report.pdf</div><div class="{P}_document_extra">1 MB</div>'
    wrap = f'<a class="{P}_document_wrap"><div class="{P}_document">{shown}</div></a>'
    return wrap + _text(channel, message)


def _sticker(channel: PreviewChannel, message: Message) -> str:
    return f'<div class="{P}_sticker_wrap media_supported_cont"><i class="{P}_sticker js-sticker_image"></i></div>'


def _poll(channel: PreviewChannel, message: Message) -> str:
    options = "".join(
        f'<div class="{P}_poll_option"><div class="{P}_poll_option_percent">0%</div><div class="{P}_poll_option_value">'
        f'<div class="{P}_poll_option_text">{text_html(option)}</div></div></div>'
        for option in message.options
    )
    return (
        f'<div class="{P}_poll js-poll"><div class="{P}_poll_question">{text_html(message.text)}</div>'
        f'<div class="{P}_poll_type">Anonymous Poll</div><a class="{P}_poll_options">{options}</a></div>'
    )


def _unsupported(channel: PreviewChannel, message: Message) -> str:
    return (
        '<div class="message_media_not_supported_wrap"><div class="message_media_not_supported">'
        '<div class="message_media_not_supported_label">Please open Telegram to view this post</div>'
        f'<a href="https://t.me/{channel.name}/{message.number}" class="message_media_view_in_telegram">'
        "VIEW IN TELEGRAM</a></div></div>"
    )


def _unknown(channel: PreviewChannel, message: Message) -> str:
    return f'<div class="{P}_hologram">{text_html(message.text)}</div>'


KINDS: dict[str, Body] = {
    "text": _text,
    "nested": _nested,
    "reply": _reply,
    "forwarded": _forwarded,
    "photo": _photo,
    "video": _video,
    "album": _album,
    "document": _document,
    "sticker": _sticker,
    "poll": _poll,
    "unsupported": _unsupported,
    "service": _text,
    "unknown": _unknown,
}
