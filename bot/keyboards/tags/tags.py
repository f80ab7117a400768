"""Buttons of a person's tags, and of the tags of one post."""

from enum import StrEnum
from hashlib import blake2b
from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from pydantic import Field

from bot.i18n import Texts
from bot.keyboards.common import PostId, Rows, button
from bot.views.common import shorten
from services.library.bot_queries import PostCard
from services.tagging.similar_tags import SimilarPair
from services.tags.vocabulary import TagPage
from storage.tags.lists import TagCard

PAGE_SIZE = 10
#: Bytes of a search that fit into callback data.
MOST_SEARCHED = 40
IN_ROW = 3

RowId = Annotated[int, Field(ge=1, le=2**63 - 1)]


class TagAction(StrEnum):
    SHOW = "show"
    RENAME = "name"
    MERGE = "merge"
    #: Asks whether the posts keep the tag; KEEP and TAKE_OFF then ban it.
    BAN = "ban"
    KEEP = "keep"
    TAKE_OFF = "off"
    #: Watches for new posts with the tag.
    WATCH = "watch"
    #: Takes the tag's last change back.
    UNDO = "undo"


class TagButton(CallbackData, prefix="tag"):
    action: TagAction
    tag: RowId


class TagListButton(CallbackData, prefix="taglist"):
    """Shows a page of the user's tags in this message."""

    page: Annotated[int, Field(ge=1, le=1_000_000)]
    search: Annotated[str, Field(max_length=MOST_SEARCHED)]


class UndoChangeButton(CallbackData, prefix="tagundo"):
    change: RowId


class SimilarTagsButton(CallbackData, prefix="tagsimilar"):
    """Shows the next pair of tags that may mean the same, in a message of its own."""


class PairAction(StrEnum):
    MERGE = "merge"
    DIFFERENT = "diff"


class TagPairButton(CallbackData, prefix="tagpair"):
    action: PairAction
    tag: RowId
    other: RowId


class ChangedHashtagsButton(CallbackData, prefix="tagwrite"):
    """Writes the hashtags of the posts that a change touched anew."""

    change: RowId


class PostTagAction(StrEnum):
    TAKE_OFF = "off"
    PUT_BACK = "on"


class PostTagButton(CallbackData, prefix="posttag"):
    """`mark`: of the tag's name, since a tag that has just come has no row yet. `card`: the message is a card."""

    action: PostTagAction
    post: PostId
    mark: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    card: bool


class AddTagButton(CallbackData, prefix="addtag"):
    post: PostId


class PostHashtagsButton(CallbackData, prefix="hashpost"):
    """Writes the post's hashtags anew, as its tags are now."""

    post: PostId


def mark(tag: str) -> str:
    return blake2b(tag.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def searchable(text: str) -> str:
    """A search as it fits into a button."""
    plain = " ".join(text.replace(":", " ").replace("\x00", " ").split())
    return plain.encode("utf-8", "ignore")[:MOST_SEARCHED].decode("utf-8", "ignore").strip()


def tags(t: Texts, page: TagPage, number: int, search: str) -> InlineKeyboardMarkup | None:
    rows: Rows = [[_listed(tag)] for tag in page.tags]
    pages = -(-page.total // PAGE_SIZE)
    neighbours = [
        button(sign, TagListButton(page=other, search=search))
        for sign, other in (("◀️", number - 1), ("▶️", number + 1))
        if 1 <= other <= pages
    ]
    if neighbours:
        rows.append(neighbours)
    if page.total > 1 and not search:
        rows.append([button(t.plain("🧩 Similar tags"), SimilarTagsButton())])
    return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None


def similar(t: Texts, pair: SimilarPair | None) -> InlineKeyboardMarkup | None:
    if pair is None:
        return None
    ways = ((t.plain("🔀 Merge"), PairAction.MERGE), (t.plain("Different"), PairAction.DIFFERENT))
    row = [button(words, TagPairButton(action=action, tag=pair.tag.id, other=pair.other.id)) for words, action in ways]
    return InlineKeyboardMarkup(inline_keyboard=[row])


def _listed(tag: TagCard) -> InlineKeyboardButton:
    sign = "🚫 " if tag.state == "banned" else ""
    return button(f"{sign}{_label(tag.name, 50)} · {tag.uses}", TagButton(action=TagAction.SHOW, tag=tag.id))


def _label(name: str, most: int) -> str:
    # Telegram refuses a button without a text.
    return shorten(name, most) or "—"


def tag(t: Texts, card: TagCard) -> InlineKeyboardMarkup:
    def make(words: str, action: TagAction) -> InlineKeyboardButton:
        return button(words, TagButton(action=action, tag=card.id))

    rename, merge = make(t.plain("✏️ Rename"), TagAction.RENAME), make(t.plain("🔀 Merge into …"), TagAction.MERGE)
    watch, ban = make(t.plain("🔔 Watch"), TagAction.WATCH), make(t.plain("🚫 Ban"), TagAction.BAN)
    last = make(t.plain("↩️ Undo last change"), TagAction.UNDO)
    if card.state == "banned":
        return InlineKeyboardMarkup(inline_keyboard=[[last]])
    return InlineKeyboardMarkup(inline_keyboard=[[rename, merge], [watch, ban]])


def ban_question(t: Texts, card: TagCard) -> InlineKeyboardMarkup:
    ways = [(t.plain("🚫 Ban it; its posts keep it"), TagAction.KEEP)]
    if card.uses:
        ways.append((t.plain("🚫 Ban it and take it off its posts"), TagAction.TAKE_OFF))
    rows = [[button(words, TagButton(action=action, tag=card.id))] for words, action in ways]
    rows.append([button(t.plain("⬅️ Back"), TagButton(action=TagAction.SHOW, tag=card.id))])
    return InlineKeyboardMarkup(inline_keyboard=rows)


def changed(
    t: Texts, change_id: int, *, hashtags: int, undo: bool, similar: bool = False
) -> InlineKeyboardMarkup | None:
    """`hashtags`: posts with hashtags in the person's channels that the change touched; `similar`: the next pair."""
    rows: Rows = [[button(t.plain("↩️ Undo"), UndoChangeButton(change=change_id))]] if undo else []
    if hashtags:
        words = t.plain("#️⃣ Change the hashtags too ({count})", count=hashtags)
        rows.append([button(words, ChangedHashtagsButton(change=change_id))])
    if similar:
        rows.append([button(t.plain("🧩 Next pair"), SimilarTagsButton())])
    return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None


def with_tags(
    t: Texts,
    markup: InlineKeyboardMarkup | None,
    post: PostCard,
    viewer: int,
    *,
    is_card: bool,
    taken_off: tuple[str, ...] = (),
    was_changed: bool = False,
) -> InlineKeyboardMarkup | None:
    """Add the post's tags to a keyboard, if the viewer (a Telegram id) owns the post.

    `taken_off`: tags to offer back. `was_changed`: offer to change the hashtags in the channel.
    """
    if post.owner_telegram_id != viewer:
        return markup
    shown = [
        button(f"{sign} {_label(name, 40)}", PostTagButton(action=action, post=post.id, mark=mark(name), card=is_card))
        for sign, action, names in (
            ("✖️", PostTagAction.TAKE_OFF, post.tags),
            ("↩️", PostTagAction.PUT_BACK, taken_off[-IN_ROW:]),
        )
        for name in names
    ]
    shown.append(button(t.plain("➕ Tag"), AddTagButton(post=post.id)))
    # A message has at most a hundred buttons.
    shown = shown[-40:]
    rows = [shown[i : i + IN_ROW] for i in range(0, len(shown), IN_ROW)]
    if was_changed and post.hashtags_of == viewer:
        rows.append([button(t.plain("#️⃣ Change the hashtags too"), PostHashtagsButton(post=post.id))])
    return InlineKeyboardMarkup(inline_keyboard=[*(markup.inline_keyboard if markup else []), *rows])
