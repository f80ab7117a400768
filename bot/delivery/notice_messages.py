"""What a notice of the outbox says: its text and its buttons."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from aiogram.types import InlineKeyboardMarkup

from bot import keyboards
from bot.i18n import Html, I18n, Texts
from bot.keyboards import channels as channel_keyboards
from bot.views import access as access_views
from bot.views import posts as views
from bot.views.channel_news import channel_news
from services.library.overview import Overview, PostCard
from services.notifications.outbox import Notice


@dataclass(frozen=True, slots=True)
class NoticeMessage:
    """A message to send. It is `final` if the notice is settled by it."""

    text: Html
    markup: InlineKeyboardMarkup | None = None
    final: bool = True


class NoticeMessages:
    """Writes notices in their person's language, from what the database says now."""

    def __init__(self, overview: Overview, i18n: I18n, admin_ids: Collection[int]) -> None:
        self._overview = overview
        self._i18n = i18n
        self._admin_ids = admin_ids

    async def write(self, notice: Notice) -> NoticeMessage | None:
        """The message, or None if there is nothing to tell any more."""
        t = self._i18n.texts(notice.language)
        match notice.kind:
            case "failed":
                return await self._failed(t, notice)
            case "result":
                return await self._result(t, notice)
            case "channel":
                return NoticeMessage(channel_news(t, notice.payload), channel_keyboards.channel_news(t, notice.payload))
            case _:
                return NoticeMessage(access_views.admin(t, notice.payload), _admin_buttons(t, notice))

    async def _failed(self, t: Texts, notice: Notice) -> NoticeMessage | None:
        listed = notice.post_ids[: views.LISTED]
        posts = await self._overview.posts(listed)
        total = len(notice.post_ids) - len(listed) + len(posts)
        if not posts:
            return None
        if total == 1:
            return NoticeMessage(views.failed_one(t, posts[0]), self._buttons(t, posts[0], notice))
        return NoticeMessage(views.failed_several(t, posts, total), keyboards.failed_several(t))

    async def _result(self, t: Texts, notice: Notice) -> NoticeMessage:
        card = await self._overview.post(notice.post_ids[0], user_id=None) if notice.post_ids else None
        if card is None:
            return NoticeMessage(views.gone(t, notice.post_ids[0] if notice.post_ids else 0))
        final = card.status not in {"pending", "retrying"}
        buttons = self._buttons(t, card, notice) if final else None
        with_follow = channel_keyboards.with_follow(t, buttons, notice.payload.get("follow"))
        return NoticeMessage(views.result(t, card), with_follow, final)

    def _buttons(self, t: Texts, card: PostCard, notice: Notice) -> InlineKeyboardMarkup | None:
        return keyboards.post(t, card, details=True, admin=notice.telegram_id in self._admin_ids)


def _admin_buttons(t: Texts, notice: Notice) -> InlineKeyboardMarkup | None:
    person = notice.payload.get("person")
    if notice.payload.get("text") == "access" and isinstance(person, int):
        return keyboards.access(t, person)
    return keyboards.try_now(t) if notice.payload.get("text") == "account" else None
