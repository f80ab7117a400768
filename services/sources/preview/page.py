"""A page of a public channel's preview (t.me/s/NAME) → its posts, or an error that says what is missing in it.

Nothing is guessed: a page that is not of the known form gives no posts, so that no empty ones are ever stored; of a
page with a message of a new kind among others, that one is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.clock import to_utc
from services.sources.base import UNKNOWN, SourceGoneError, SourcePost, SourceUnreadableError
from services.sources.preview.html_tree import Element, MarkupError, read_html
from services.sources.preview.text import line_of, text_of

MESSAGE, WRAP, NOTICE = "tgme_widget_message", "tgme_widget_message_wrap", "tme_no_messages_found"
TEXT, DATE, VIEWS, POLL = f"{MESSAGE}_text", f"{MESSAGE}_date", f"{MESSAGE}_views", f"{MESSAGE}_poll"
SERVICE, REPLY_TEXT, OWN_TEXT = "service_message", "js-message_reply_text", "js-message_text"
#: Parts of a message that are not what its author posted.
ASIDE = frozenset(
    {REPLY_TEXT, f"{MESSAGE}_author", f"{MESSAGE}_forwarded_from", f"{MESSAGE}_link_preview"}
    | {f"{MESSAGE}_reactions", f"{MESSAGE}_reply", f"{MESSAGE}_user", f"{MESSAGE}_via_bot"}
)
#: What a message may consist of besides text: beginnings of classes.
KINDS = re.compile(
    rf"message_media_not_supported|{MESSAGE}_(?:animated|audio|checklist|contact|dice|document|game|gif|giveaway|grouped"
    "|invoice|location|paid|photo|poll|roundvideo|sticker|story|tgsticker|todo|venue|video|voice)"
)
#: Where else a message has words: beginnings of classes.
PLACES = re.compile(rf"copyonly|{MESSAGE}_(?:date|error|footer|from|info|inline|meta|owner|views|voters)")
#: Classes that only pages of channels have, and such that only those about a name have.
CHANNEL = frozenset({"tgme_channel_history", "tgme_channel_info", "tgme_channel_info_header_title"})
INFO = frozenset({"tgme_page", "tgme_page_action", "tgme_page_icon", "tgme_page_title", "tgme_page_wrap"})
MOST_MEMBERS, LONGEST_TITLE = 100, 255

_POST = re.compile(r"([A-Za-z0-9_]{1,64})/([0-9]{1,18})", re.ASCII)
_SINGLE = re.compile(r"/([A-Za-z0-9_]{1,64})/([0-9]{1,18})\?(?:single|.{0,200}&single)", re.ASCII)
_NAME = re.compile(r"@?([A-Za-z0-9_]{1,64})", re.ASCII)
_COUNT = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,6}))?([KMB]?)", re.ASCII | re.IGNORECASE)
_ZEROS = {"": 0, "K": 3, "M": 6, "B": 9}


@dataclass(frozen=True, slots=True)
class PreviewPage:
    """A page of a channel's preview.

    Attributes:
        name: the channel's name as the page writes it.
        posts: oldest first; none: an empty channel, or nothing that old.
        before: what to ask the next older page with; None: this is the beginning.
        lowest: the lowest number of a message on the page, of those left out too; None: there is none.
        skipped: messages that were left out, reason → how many.
    """

    title: str
    name: str
    posts: Sequence[SourcePost]
    before: int | None
    lowest: int | None
    skipped: Mapping[str, int] = field(default_factory=dict)


def read_page(html: str, name: str) -> PreviewPage:
    """What a page holds that was asked for under `name`.

    Raises:
        SourceGoneError: it is a page about the name: there is no such channel, or none with a preview.
        SourceUnreadableError: it is not of the known form.
    """
    try:
        survey = _Survey(read_html(html))
    except MarkupError as error:
        raise SourceUnreadableError(str(error)) from None
    if not survey.messages:
        _check_emptiness(survey)
    messages = [_message(element) for element in survey.messages]
    faults = [found.fault for found in messages if found.fault]
    if 2 * len(faults) > len(messages):
        # A single one is of a new kind; so many show that the pages are another.
        raise SourceUnreadableError(faults[0])
    names = {found.name.lower(): found.name for found in messages}
    if len(names) > 1:
        raise SourceUnreadableError("the page holds posts of several channels")
    own_name = next(iter(names.values()), None) or survey.name or name
    posts = sorted((found.post for found in messages if found.post is not None), key=lambda post: post.message_id)
    skipped = {"service": len(messages) - len(posts) - len(faults), UNKNOWN: len(faults)}
    return PreviewPage(
        title=survey.title or own_name,
        name=own_name,
        posts=posts,
        before=survey.before,
        lowest=min((found.number for found in messages), default=None),
        skipped={reason: count for reason, count in skipped.items() if count},
    )


def _check_emptiness(survey: _Survey) -> None:
    """A page without messages: is it a channel that has none?"""
    if survey.is_channel and survey.title:
        return
    if survey.is_info:
        raise SourceGoneError("there is no preview under this name")
    raise SourceUnreadableError("the page has no messages, nor the known frame of a channel or of a page about a name")


class _Survey:
    """What there is on a page outside of the messages, and which messages there are."""

    def __init__(self, root: Element) -> None:
        self.messages: list[Element] = []
        self.before: int | None = None
        self.name: str | None = None
        self.is_channel = self.is_info = False
        self._titles: dict[str, str] = {}
        self._wraps = self._notices = 0
        for element in _outside_messages(root, self.messages):
            self._look_at(element)
        if self._wraps > len(self.messages) + self._notices:
            raise SourceUnreadableError(f"a container of a message holds no .{MESSAGE}")

    @property
    def title(self) -> str:
        """The channel's title; empty: it has none."""
        kinds = ("tgme_channel_info_header_title", "tgme_header_title", "og:title")
        return next((self._titles[kind] for kind in kinds if self._titles.get(kind)), "")[:LONGEST_TITLE]

    def _look_at(self, element: Element) -> None:
        classes = set(element.classes)
        if classes & {TEXT, OWN_TEXT, DATE} or "data-post" in element.attributes:
            raise SourceUnreadableError(f"there are parts of posts outside of any .{MESSAGE}")
        self._wraps += WRAP in classes
        self._notices += NOTICE in classes
        self.is_channel |= bool(classes & CHANNEL)
        self.is_info |= bool(classes & INFO)
        for kind in classes & {"tgme_channel_info_header_title", "tgme_header_title"}:
            self._titles.setdefault(kind, line_of(element))
        if "tgme_channel_info_header_username" in classes and (found := _NAME.fullmatch(line_of(element))):
            self.name = found[1]
        if element.name == "meta" and element.attributes.get("property") == "og:title":
            self._titles.setdefault("og:title", " ".join(element.attributes.get("content", "").split()))
        elif element.name == "title" and line_of(element).startswith("Telegram: "):
            self.is_info = True
        if "data-before" in element.attributes:
            self.before = _before(element.attributes["data-before"])


def _before(written: str) -> int:
    if not (written.isascii() and written.isdigit() and len(written) <= 18 and int(written) > 0):
        raise SourceUnreadableError("the link to older posts has no number in data-before")
    return int(written)


def _outside_messages(root: Element, messages: list[Element]) -> Iterator[Element]:
    """The elements outside of messages; each message is added to `messages`."""
    waiting = [root]
    while waiting:
        element = waiting.pop()
        if MESSAGE in element.classes:
            messages.append(element)
            continue
        yield element
        waiting.extend(reversed(list(element.elements())))


@dataclass(frozen=True, slots=True)
class _Message:
    """One message of the page; `post` None: a service message, or one of an unknown kind, of which `fault` tells."""

    name: str
    number: int
    post: SourcePost | None = None
    fault: str = ""


def _message(element: Element) -> _Message:
    written = _POST.fullmatch(element.attributes.get("data-post", ""))
    if written is None or int(written[2]) == 0:
        raise SourceUnreadableError("a message has no name and number in data-post")
    name, number = written[1], int(written[2])
    if SERVICE in element.classes:
        return _Message(name, number)
    parts = _Parts(element, name, number)
    text = parts.text()
    if text is None and not parts.has_content:
        return _Message(name, number, fault=f"message {number} has neither text nor content of a known kind")
    if text is None and parts.has_strays:
        return _Message(name, number, fault=f"message {number} has words, but not where its text is known to be")
    if parts.time is None:
        raise SourceUnreadableError(f"message {number} has no time")
    post = SourcePost(
        message_id=number,
        text=text,
        posted_at=_moment(parts.time, number),
        url=f"https://t.me/{name}/{number}",
        views=parts.views,
        members=parts.members,
    )
    return _Message(name, number, post)


class _Parts:
    """What a message consists of.

    Attributes:
        has_content: there is something of a known kind besides text.
        has_strays: there are words in a place that is not known.
    """

    def __init__(self, message: Element, name: str, number: int) -> None:
        self.has_content = self.has_strays = False
        self.time: str | None = None
        self.views: int | None = None
        self._name, self._number = name.lower(), number
        self._texts: list[str] = []
        self._linked: set[int] = set()
        self._gather(message, is_placed=False)

    @property
    def members(self) -> tuple[int, ...]:
        """The album's numbers; none: it is no album."""
        numbers = self._linked | {self._number}
        return tuple(sorted(numbers)) if len(numbers) > 1 else ()

    def text(self) -> str | None:
        """The message's text, a poll's question and options; None: it has none."""
        return "\n".join(dict.fromkeys(text for text in self._texts if text)) or None

    def _gather(self, element: Element, *, is_placed: bool) -> None:
        for child in element.children:
            if isinstance(child, str):
                self.has_strays |= not (is_placed or child.isspace())
                continue
            classes = child.classes
            if MESSAGE in classes:
                raise SourceUnreadableError(f"message {self._number} holds another message")
            self._note(child, classes)
            if OWN_TEXT in classes or (TEXT in classes and REPLY_TEXT not in classes):
                self._add_text(child)
            elif POLL in classes:
                self._texts.append(_poll(child, self._number))
            elif ASIDE.isdisjoint(classes):
                known = any(KINDS.match(name) or PLACES.match(name) for name in classes)
                self._gather(child, is_placed=is_placed or known)

    def _note(self, child: Element, classes: Sequence[str]) -> None:
        self.has_content |= any(KINDS.match(name) for name in classes)
        if VIEWS in classes and self.views is None:
            self.views = read_count(text_of(child))
        if DATE in classes and self.time is None:
            self.time = next((at.attributes["datetime"] for at in child.walk() if "datetime" in at.attributes), None)
        single = _SINGLE.search(child.attributes.get("href", "")[-300:])
        if single and single[1].lower() == self._name and len(self._linked) < MOST_MEMBERS:
            self._linked.add(int(single[2]))

    def _add_text(self, element: Element) -> None:
        self._texts.append(text_of(element))
        # An emoji of a pack of one's own may come without a character.
        self.has_content |= any(inner.name == "tg-emoji" for inner in element.walk())


def _poll(element: Element, number: int) -> str:
    lines = [line_of(part) for part in element.walk() if f"{POLL}_question" in part.classes]
    lines += [line_of(part) for part in element.walk() if f"{POLL}_option_text" in part.classes]
    if not any(lines):
        raise SourceUnreadableError(f"message {number} is a poll without question and options")
    return "\n".join(line for line in lines if line)


def _moment(written: str, number: int) -> datetime:
    try:
        return to_utc(datetime.fromisoformat(written[:40]))
    except (ValueError, OverflowError):
        raise SourceUnreadableError(f"message {number} has a time that is none") from None


def read_count(written: str) -> int | None:
    """A number as pages show it: 12 345, 1.2K, 3M; None: it is none."""
    compact = "".join(written[:40].split()).replace(",", "")
    found = _COUNT.fullmatch(compact)
    if found is None:
        return None
    zeros = _ZEROS[found[3].upper()]
    return int(found[1] + (found[2] or "").ljust(zeros, "0")[:zeros])
