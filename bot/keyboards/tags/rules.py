"""Buttons of /rules. Each button holds the whole draft but its instruction, which stands in the message."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any, Self

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from pydantic import Field

from bot.i18n import Texts
from bot.keyboards.common import Rows, back_to_settings, button
from bot.views.common import shorten
from bot.views.tags import rules as views
from services.library.cursor import MAX_ID
from services.tags.rules import AS_POST, MOST_TAGS, HashtagStyle, Mode, Rules, RuleSettings
from services.tags.user_rules import RuledChannel

PAGE_SIZE = 10
ALL_CHANNELS = 0


class RulesAction(StrEnum):
    #: Shows the draft that the button holds.
    DRAFT = "draft"
    SAVE = "save"
    TRY = "try"
    ASK_LANGUAGE = "lang"
    ASK_INSTRUCTION = "text"
    CLEAR_INSTRUCTION = "clear"
    #: Shows the rules that are saved.
    OPEN = "open"
    #: Ends a channel's override.
    REMOVE = "remove"


class RulesButton(CallbackData, prefix="rules"):
    action: RulesAction
    channel: Annotated[int, Field(ge=ALL_CHANNELS, le=MAX_ID)]
    mode: Mode | None = None
    language: Annotated[str, Field(pattern=r"^(?:post|[a-z]{2})$")] | None = None
    most: Annotated[int, Field(ge=1, le=MOST_TAGS)] | None = None
    style: HashtagStyle | None = None
    is_on: bool | None = None

    @classmethod
    def of(cls, channel_id: int | None, settings: RuleSettings) -> Self:
        known = asdict(settings)
        values = {"most": known.pop("most_tags"), "style": known.pop("hashtag_style"), **known}
        values.pop("instruction")
        return cls(action=RulesAction.DRAFT, channel=channel_id or ALL_CHANNELS, **values)

    @property
    def channel_id(self) -> int | None:
        return self.channel or None

    def settings(self, instruction: str | None) -> RuleSettings:
        return RuleSettings(self.mode, self.language, self.most, instruction, self.style, self.is_on)

    def but(self, **changes: Any) -> Self:
        return self.model_copy(update=changes)


class RuledChannelsButton(CallbackData, prefix="ruled"):
    """Shows a page of the person's channels."""

    page: Annotated[int, Field(ge=1, le=1_000_000)]


def rules(t: Texts, draft: RulesButton, in_force: Rules, *, has_instruction: bool) -> InlineKeyboardMarkup:
    """`in_force`: what would be in force with the draft."""
    # In a channel None comes round too: as for all channels.
    unset: list[Any] = [None] if draft.channel_id else []
    modes, styles, states = [*unset, *Mode], [*unset, *HashtagStyle], [*unset, True, False]
    known = [*unset, AS_POST, "ru", "en"]

    def turn(words: str, name: str, values: list[Any], value: Any) -> InlineKeyboardButton:
        place = values.index(value) + 1 if value in values else 0
        return button(words, draft.but(action=RulesAction.DRAFT, **{name: values[place % len(values)]}))

    def act(words: str, action: RulesAction) -> InlineKeyboardButton:
        return button(words, draft.but(action=action))

    mode = draft.mode if draft.channel_id else in_force.mode
    language = draft.language if draft.channel_id else in_force.language
    style = draft.style if draft.channel_id else in_force.hashtag_style
    is_on = draft.is_on if draft.channel_id else in_force.is_on
    fewer, more = (min(MOST_TAGS, max(1, in_force.most + step)) for step in (-1, 1))
    rows: Rows = [
        [turn(views.mode_label(t, mode), "mode", modes, mode)],
        [
            turn(views.language_label(t, language), "language", known, language),
            act(t.plain("🌐 Other …"), RulesAction.ASK_LANGUAGE),
        ],
        [
            button("➖", draft.but(action=RulesAction.DRAFT, most=fewer)),
            button(t.plain("up to {count}", count=in_force.most), draft.but(action=RulesAction.DRAFT)),
            button("➕", draft.but(action=RulesAction.DRAFT, most=more)),
        ],
        [act(t.plain("✍️ Instruction …"), RulesAction.ASK_INSTRUCTION)],
        [turn(views.style_label(t, style), "style", styles, style)],
        [turn(views.state_label(t, is_on), "is_on", states, is_on)],
        [act(t.plain("🧪 Try on the last 5 posts (1 request)"), RulesAction.TRY)],
        [act(t.plain("💾 Save"), RulesAction.SAVE)],
    ]
    if has_instruction:
        rows[3].append(act(t.plain("🗑 Remove it"), RulesAction.CLEAR_INSTRUCTION))
    if draft.channel_id:
        rows.append([act(t.plain("↩️ As for all channels"), RulesAction.REMOVE)])
        all_channels = RulesButton(action=RulesAction.OPEN, channel=ALL_CHANNELS)
        rows.append([button(t.plain("⬅️ All channels"), all_channels)])
    else:
        rows.append([button(t.plain("📢 Rules of one channel …"), RuledChannelsButton(page=1))])
        rows.append([back_to_settings(t)])
    return InlineKeyboardMarkup(inline_keyboard=rows)


def channels(t: Texts, found: list[RuledChannel], page: int) -> InlineKeyboardMarkup:
    shown = found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    rows: Rows = [
        [
            button(
                f"{'✏️ ' if channel.is_overridden else ''}{shorten(channel.title, 50) or '—'}",
                RulesButton(action=RulesAction.OPEN, channel=channel.id),
            )
        ]
        for channel in shown
    ]
    pages = -(-len(found) // PAGE_SIZE)
    neighbours = [
        button(sign, RuledChannelsButton(page=other))
        for sign, other in (("◀️", page - 1), ("▶️", page + 1))
        if 1 <= other <= pages
    ]
    rows += [neighbours] if neighbours else []
    rows.append([button(t.plain("⬅️ All channels"), RulesButton(action=RulesAction.OPEN, channel=ALL_CHANNELS))])
    return InlineKeyboardMarkup(inline_keyboard=rows)
