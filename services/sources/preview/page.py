"""A page of a public channel's preview (t.me/s/NAME) → its posts, or an error that says what is missing.

A page of an unknown form gives no posts, so that no empty ones are stored. A single message of an unknown kind is
omitted and counted.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from selectolax.lexbor import LexborHTMLParser, LexborNode

from services.clock import to_utc
from services.sources.base import UNKNOWN, SourceGoneError, SourcePost, SourceUnreadableError
from services.sources.message_text import poll_text
from services.sources.preview.text import HIDDEN, classes_of, line_of, text_of

MESSAGE = ".tgme_widget_message"
VIEWS, TIME = f"{MESSAGE}_views", f"{MESSAGE}_date [datetime]"
TEXT = f".js-message_text, {MESSAGE}_text:not(.js-message_reply_text)"
POLL, QUESTION, OPTION = f"{MESSAGE}_poll", f"{MESSAGE}_poll_question", f"{MESSAGE}_poll_option_text"


def _any_of(kinds: str) -> str:
    """A selector of classes that contain one of these words after Telegram's prefix."""
    return ", ".join(f'[class*="tgme_widget_message_{kind}"]' for kind in kinds.split())


#: Parts of a message that are not what its author posted.
ASIDE = (
    f".js-message_reply_text, {MESSAGE}_author, {MESSAGE}_forwarded_from, {MESSAGE}_link_preview, {MESSAGE}_reactions,"
    f"{MESSAGE}_reply, {MESSAGE}_user, {MESSAGE}_via_bot"
)
NOT_SHOWN = '[class*="message_media_not_supported"]'
LISTED = _any_of("checklist todo venue")
KINDS = _any_of(
    "animated audio checklist contact dice document game gif giveaway grouped invoice location paid photo poll"
    " roundvideo sticker story tgsticker todo venue video voice"
)
CONTENT = f"{NOT_SHOWN}, {KINDS}"
PLACES = f".copyonly, {', '.join(HIDDEN)}, " + _any_of("date error footer from info inline meta owner views voters")
WRITTEN = f":is({TEXT}, {POLL}):not(:is({TEXT}, {POLL}, {ASIDE}) *)"
OWN_CONTENT = f":is({CONTENT}):not(:is({TEXT}, {ASIDE}) *)"
OWN_LINK = f"[href]:not(:is({TEXT}, {ASIDE}) *)"
UNKNOWN_PLACE = f":not(:is({TEXT}, {ASIDE}, {CONTENT}, {PLACES}), :is({TEXT}, {ASIDE}, {CONTENT}, {PLACES}) *)"

#: Elements that only pages of channels have, and such that only pages about a name have.
CHANNEL = ".tgme_channel_history, .tgme_channel_info, .tgme_channel_info_header_title"
INFO = ".tgme_page, .tgme_page_action, .tgme_page_icon, .tgme_page_title, .tgme_page_wrap"
STRAY_PART = f":is({TEXT}, {MESSAGE}_text, {MESSAGE}_date, [data-post]):not({MESSAGE}, {MESSAGE} *)"
STRAY_WRAP = f"{MESSAGE}_wrap:not(:has({MESSAGE}, .tme_no_messages_found))"
TITLES = (".tgme_channel_info_header_title", ".tgme_header_title")
LONGEST_TITLE = 255

_POST = re.compile(r"([A-Za-z0-9_]{1,64})/([0-9]{1,18})", re.ASCII)
_ALBUM_MEMBER = re.compile(r"/([A-Za-z0-9_]{1,64})/([0-9]{1,18})\?(?:single|.*&single)", re.ASCII)
_USERNAME = re.compile(r"@?([A-Za-z0-9_]{1,64})", re.ASCII)
_COUNT = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,6}))?([KMB]?)", re.ASCII | re.IGNORECASE)
_ZEROS = {"": 0, "K": 3, "M": 6, "B": 9}


@dataclass(frozen=True, slots=True)
class PreviewPage:
    """A page of a channel's preview, its posts from the oldest.

    Attributes:
        name: the channel's name as the page writes it.
        before: the number by which the next older page is requested; None on the oldest page.
        lowest: the lowest number of a message on the page, omitted ones too; None on a page without messages.
        skipped: omitted messages, reason → how many.
    """

    title: str
    name: str
    posts: Sequence[SourcePost]
    before: int | None
    lowest: int | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Message:
    """Without a `post` it is a service message, or of an unknown kind (`fault`)."""

    name: str
    number: int
    post: SourcePost | None = None
    fault: str = ""


def read_page(html: str, name: str) -> PreviewPage:
    """The page that was requested for `name`.

    Raises:
        SourceGoneError: there is no channel of this name, or none with a preview.
        SourceUnreadableError: the page is of an unknown form.
    """
    try:
        return _read(LexborHTMLParser(html), name)
    except RecursionError:
        raise SourceUnreadableError("the page's elements are nested too deeply") from None


def _read(page: LexborHTMLParser, asked_name: str) -> PreviewPage:
    _check_frame(page)
    messages = [_message(element) for element in page.css(f"{MESSAGE}:not({MESSAGE} *)")]
    title = _title(page)
    if not messages:
        _check_emptiness(page, title)
    faults = [found.fault for found in messages if found.fault]
    if 2 * len(faults) > len(messages):
        # A single one is a new kind of message; so many mean that the pages have changed.
        raise SourceUnreadableError(faults[0])
    names = {found.name.lower(): found.name for found in messages}
    if len(names) > 1:
        raise SourceUnreadableError("the page holds posts of several channels")
    name = next(iter(names.values()), None) or _username(page) or asked_name
    posts = sorted((found.post for found in messages if found.post is not None), key=lambda post: post.message_id)
    skipped = {"service": len(messages) - len(posts) - len(faults), UNKNOWN: len(faults)}
    return PreviewPage(
        title=title or name,
        name=name,
        posts=posts,
        before=_before(page),
        lowest=min((found.number for found in messages), default=None),
        skipped={reason: count for reason, count in skipped.items() if count},
    )


def _check_frame(page: LexborHTMLParser) -> None:
    if page.css_first(STRAY_PART) is not None:
        raise SourceUnreadableError(f"there are parts of posts outside of any {MESSAGE}")
    if page.css_first(STRAY_WRAP) is not None:
        raise SourceUnreadableError(f"a container of a message holds no {MESSAGE}")


def _check_emptiness(page: LexborHTMLParser, title: str) -> None:
    """Tell a channel without posts from a page about a name, and refuse any other page."""
    if title and page.css_first(CHANNEL) is not None:
        return
    page_title = page.css_first("title")
    if page.css_first(INFO) is not None or (page_title is not None and line_of(page_title).startswith("Telegram: ")):
        raise SourceGoneError("there is no preview under this name")
    raise SourceUnreadableError("the page has no messages, nor the known frame of a channel or of a page about a name")


def _title(page: LexborHTMLParser) -> str:
    shown = [line_of(element) for element in map(page.css_first, TITLES) if element is not None]
    meta = page.css_first('meta[property="og:title"]')
    shown.append(" ".join((meta.attributes.get("content") or "").split()) if meta is not None else "")
    return next(filter(None, shown), "")[:LONGEST_TITLE]


def _username(page: LexborHTMLParser) -> str | None:
    element = page.css_first(".tgme_channel_info_header_username")
    found = _USERNAME.fullmatch(line_of(element)) if element is not None else None
    return found[1] if found else None


def _before(page: LexborHTMLParser) -> int | None:
    link = page.css_first(f"[data-before]:not({MESSAGE} *)")
    if link is None:
        return None
    written = link.attributes.get("data-before") or ""
    if not (written.isascii() and written.isdigit() and len(written) <= 18 and int(written) > 0):
        raise SourceUnreadableError("the link to older posts has no number in data-before")
    return int(written)


def _message(element: LexborNode) -> _Message:
    written = _POST.fullmatch(element.attributes.get("data-post") or "")
    if written is None or int(written[2]) == 0:
        raise SourceUnreadableError("a message has no name and number in data-post")
    name, number = written[1], int(written[2])
    if "service_message" in classes_of(element):
        return _Message(name, number)
    if element.css_first(f"{MESSAGE} {MESSAGE}") is not None:
        raise SourceUnreadableError(f"message {number} holds another message")
    text = _text(element, number)
    if text is None and not _has_content(element):
        return _Message(name, number, fault=f"message {number} has neither text nor content of a known kind")
    if text is None and any(part.text(deep=False).strip() for part in element.css(UNKNOWN_PLACE)):
        return _Message(name, number, fault=f"message {number} has words, but not where its text is known to be")
    views = element.css_first(VIEWS)
    post = SourcePost(
        message_id=number,
        text=text,
        posted_at=_posted_at(element, number),
        url=f"https://t.me/{name}/{number}",
        views=read_count(text_of(views)) if views is not None else None,
        members=_album_members(element, name, number),
        is_supported=text is not None or element.css_first(NOT_SHOWN) is None or element.css_first(KINDS) is not None,
    )
    return _Message(name, number, post)


def _text(message: LexborNode, number: int) -> str | None:
    texts = [_poll(part, number) if POLL[1:] in classes_of(part) else text_of(part) for part in message.css(WRITTEN)]
    if not any(texts):
        texts = [text_of(part) for part in message.css(f":is({LISTED}):not(:is({LISTED}, {ASIDE}) *)")]
    # Telegram shows some texts twice.
    return "\n".join(dict.fromkeys(text for text in texts if text)) or None


def _poll(element: LexborNode, number: int) -> str:
    question = " ".join(line_of(part) for part in element.css(QUESTION))
    found = poll_text({"question": question, "options": [{"text": line_of(part)} for part in element.css(OPTION)]})
    if not found:
        raise SourceUnreadableError(f"message {number} is a poll without question and options")
    return found


def _has_content(message: LexborNode) -> bool:
    """Whether there is content besides text; a custom emoji may come without a character."""
    return message.css_first(OWN_CONTENT) is not None or message.css_first(f":is({TEXT}) tg-emoji") is not None


def _album_members(message: LexborNode, name: str, number: int) -> tuple[int, ...]:
    """The numbers of the album's messages, in order; empty for a single message."""
    links = [_ALBUM_MEMBER.search(link.attributes.get("href") or "") for link in message.css(OWN_LINK)]
    numbers = {int(link[2]) for link in links if link is not None and link[1].lower() == name.lower()} | {number}
    return tuple(sorted(numbers)) if len(numbers) > 1 else ()


def _posted_at(message: LexborNode, number: int) -> datetime:
    element = message.css_first(TIME)
    if element is None:
        raise SourceUnreadableError(f"message {number} has no time")
    try:
        return to_utc(datetime.fromisoformat(element.attributes.get("datetime") or ""))
    except (ValueError, OverflowError):
        raise SourceUnreadableError(f"message {number} has a time that is none") from None


def read_count(written: str) -> int | None:
    """A number as pages show it: 12 345, 1.2K, 3M; None: it is none."""
    found = _COUNT.fullmatch("".join(written.split()).replace(",", ""))
    if found is None:
        return None
    zeros = _ZEROS[found[3].upper()]
    return int(found[1] + (found[2] or "").ljust(zeros, "0")[:zeros])
