"""Pages of the preview as Telegram writes them, to be taken apart."""

from __future__ import annotations

TIME = "2024-12-05T13:10:40+00:00"
PHOTO = '<a class="tgme_widget_message_photo_wrap blured js-message_photo" href="https://t.me/durov/{id}"></a>'
TAIL = (
    '<i class="tgme_widget_message_bubble_tail"><svg class="bubble_icon" width="9px" height="20px"><g fill="none">'
    '<path class="background" fill="#ffffff" d="M8,1 L9,1 Z"></path></g></svg></i>'
)
CONTENTLESS_NOTE = (
    '<div class="media_not_supported_cont"><div class="message_media_not_supported_wrap">'
    '<div class="message_media_not_supported"><div class="message_media_not_supported_label">'
    "Please open Telegram to view this post</div>"
    '<a href="https://t.me/durov/{id}" class="message_media_view_in_telegram">VIEW IN TELEGRAM</a></div></div></div>'
)


def text_block(html: str) -> str:
    """What a post's text is in."""
    return f'<div class="tgme_widget_message_text js-message_text" dir="auto">{html}</div>'


def footer(name: str, number: int, views: str = "1.2K", time: str = TIME) -> str:
    """Views and time under a post."""
    return (
        '<div class="tgme_widget_message_footer compact js-message_footer">'
        '<div class="tgme_widget_message_info short js-message_info">'
        f'<span class="tgme_widget_message_views">{views}</span><span class="copyonly"> views</span>'
        f'<span class="tgme_widget_message_meta"><a class="tgme_widget_message_date" href="https://t.me/{name}/{number}">'
        f'<time datetime="{time}" class="time">13:10</time></a></span></div></div>'
    )


def message(number: int, body: str, name: str = "durov", *, foot: str | None = None, kind: str = "") -> str:
    """A message in its container."""
    foot = footer(name, number) if foot is None else foot
    classes = f"tgme_widget_message text_not_supported_wrap {kind} js-widget_message"
    return (
        '<div class="tgme_widget_message_wrap js-widget_message_wrap">'
        f'<div class="{classes}" data-post="{name}/{number}" data-view="eyJjIjotMTAwNjUwMzEyMn0">'
        f'<div class="tgme_widget_message_user"><a href="https://t.me/{name}">'
        '<i class="tgme_widget_message_user_photo bgcolor1" data-content="D"><img src="//cdn.example/a.jpg"></i>'
        "</a></div>"
        f'<div class="tgme_widget_message_bubble">{TAIL}'
        '<div class="tgme_widget_message_author accent_color"><a class="tgme_widget_message_owner_name" '
        f'href="https://t.me/{name}"><span dir="auto">Durov&#39;s Channel</span></a></div>'
        f"{body}{foot}</div></div></div>"
    )


def more(before: object, name: str = "durov") -> str:
    """The link to older posts."""
    return (
        '<div class="tgme_widget_message_centered js-messages_more_wrap">'
        f'<a href="/s/{name}?before={before}" class="tme_messages_more js-messages_more" '
        f'data-before="{before}"></a></div>'
    )


def page(*messages: str, title: str = "Durov&#39;s Channel", name: str = "durov", older: str = "") -> str:
    """A channel's page."""
    return f"""<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>{title} – Telegram</title>
<meta property="og:title" content="{title}"><script>window.x = "<div class='tgme_widget_message'>";</script></head>
<body class="widget_frame_base tgme_webpreview"><header class="tgme_header search_collapsed">
<div class="tgme_container"><div class="tgme_header_info"><a class="tgme_header_link" href="https://t.me/{name}">
<i class="tgme_page_photo_image bgcolor1" data-content="D"></i><div class="tgme_header_title_wrap">
<div class="tgme_header_title"><span dir="auto">{title}</span></div></div></a></div></div></header>
<main class="tgme_main" data-url="/{name}"><div class="tgme_container">
<section class="tgme_right_column"><div class="tgme_channel_info"><div class="tgme_channel_info_header">
<div class="tgme_channel_info_header_title_wrap"><div class="tgme_channel_info_header_title">
<span dir="auto">{title}</span></div></div><div class="tgme_channel_info_header_username">
<a href="https://t.me/{name}">@{name}</a></div></div></div></section>
<section class="tgme_channel_history js-message_history">{older}{"".join(messages)}</section></div></main>
<script>TWeb.init();</script></body></html>
<!-- page generated in 21.3ms -->"""


INFO_PAGE = """<!DOCTYPE html><html><head><title>Telegram: Contact @secret</title>
<meta property="og:title" content="Telegram: Contact @secret"></head><body class="no_transition">
<div class="tgme_page_wrap"><div class="tgme_body_wrap"><div class="tgme_page">
<div class="tgme_page_icon"><i class="tgme_icon_user"></i></div>
<div class="tgme_page_description">If you have <strong>Telegram</strong>, you can contact
<a class="tgme_username_link" href="tg://resolve?domain=secret">@secret</a> right away.</div>
<div class="tgme_page_action"><a class="tgme_action_button_new" href="tg://resolve?domain=secret">Send Message</a>
</div></div></div></div></body></html>"""
