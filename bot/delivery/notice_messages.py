from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from aiogram.types import InlineKeyboardMarkup

from bot.i18n import Html, I18n, Texts
from bot.keyboards import access as access_keyboards
from bot.keyboards import alerts as alert_keyboards
from bot.keyboards.channels import channel_news as news_keyboards
from bot.keyboards.channels.following import with_follow
from bot.keyboards.posts import digest as digest_keyboards
from bot.keyboards.posts import posts as keyboards
from bot.keyboards.tags.tags import with_tags
from bot.views import alerts as alert_views
from bot.views.channels.channel_news import channel_news
from bot.views.posts import digest as digest_views
from bot.views.posts import posts as views
from bot.views.posts import watch as watch_views
from services.library.bot_queries import BotQueries, PostCard
from services.library.digests import Digests
from services.library.watches import Watches
from services.notifications.outbox import Notice


@dataclass(frozen=True, slots=True)
class NoticeMessage:
    """`final`: the notice is settled by this message. `silent`: without a sound. An empty text is not sent."""

    text: Html
    markup: InlineKeyboardMarkup | None = None
    final: bool = True
    silent: bool = False


class NoticeMessages:
    def __init__(
        self, queries: BotQueries, digests: Digests, watches: Watches, i18n: I18n, admin_ids: Collection[int]
    ) -> None:
        self._watches = watches
        self._queries = queries
        self._digests = digests
        self._i18n = i18n
        self._admin_ids = admin_ids

    async def write(self, notice: Notice) -> NoticeMessage | None:
        """None if nothing has to be told any more."""
        t = self._i18n.texts(notice.language, notice.time_zone)
        match notice.kind:
            case "failed":
                return await self._failed(t, notice)
            case "result":
                return await self._result(t, notice)
            case "channel":
                return NoticeMessage(channel_news(t, notice.payload), news_keyboards.channel_news(t, notice.payload))
            case "digest":
                return await self._digest(t, notice)
            case "watch":
                found = await self._watches.found(notice.ids[0], notice.payload["watch"])
                return None if found is None else NoticeMessage(watch_views.found(t, found))
            case _:
                return NoticeMessage(alert_views.alert(t, notice.payload), _admin_buttons(t, notice))

    async def _failed(self, t: Texts, notice: Notice) -> NoticeMessage | None:
        listed = notice.post_ids[: views.LISTED]
        posts = await self._queries.posts(listed)
        total = len(notice.post_ids) - len(listed) + len(posts)
        if not posts:
            return None
        if total == 1:
            return NoticeMessage(views.failed_one(t, posts[0]), self._buttons(t, posts[0], notice))
        return NoticeMessage(views.failed_several(t, posts, total), keyboards.failed_several(t))

    async def _digest(self, t: Texts, notice: Notice) -> NoticeMessage | None:
        since, until = (datetime.fromisoformat(notice.payload[name]) for name in ("since", "until"))
        found = await self._digests.of_period(notice.telegram_id, since, until)
        if found is None:
            return None
        text = digest_views.digest(t, found, notice.payload["every"])
        return NoticeMessage(text, digest_keyboards.digest(t, failed=found.failed), silent=True)

    async def _result(self, t: Texts, notice: Notice) -> NoticeMessage:
        card = await self._queries.post(notice.post_ids[0], user_id=None) if notice.post_ids else None
        if card is None:
            return NoticeMessage(views.gone(t, notice.post_ids[0] if notice.post_ids else 0))
        final = card.status not in {"pending", "retrying"}
        is_news = bool(notice.payload.get("news"))
        if is_news and not final:
            # They asked for tagged posts, not for the way there.
            return NoticeMessage(Html(""), final=False)
        if is_news:
            news_buttons = keyboards.tagged_post(t, card, notice.telegram_id)
            return NoticeMessage(views.result(t, card), news_buttons, silent=True)
        buttons = self._buttons(t, card, notice) if final else None
        if card.status == "success":
            buttons = with_tags(t, buttons, card, notice.telegram_id, is_card=False)
        markup = with_follow(t, buttons, notice.payload.get("follow"))
        return NoticeMessage(views.result(t, card), markup, final)

    def _buttons(self, t: Texts, card: PostCard, notice: Notice) -> InlineKeyboardMarkup | None:
        return keyboards.post(t, card, details=True, admin=notice.telegram_id in self._admin_ids)


def _admin_buttons(t: Texts, notice: Notice) -> InlineKeyboardMarkup | None:
    person = notice.payload.get("person")
    if notice.payload.get("text") == "access" and isinstance(person, int):
        return access_keyboards.access_request(t, person)
    return alert_keyboards.try_now(t) if notice.payload.get("text") == "account" else None
