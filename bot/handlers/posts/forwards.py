"""Forwarded messages, and texts that a person wants tagged."""

from datetime import UTC

from aiogram import Bot, F, Router
from aiogram.types import CallbackQuery, Message, MessageOriginChannel, ReplyParameters

from bot.handlers.channels.following import not_followed
from bot.handlers.replies import chat_of
from bot.i18n import Texts
from bot.keyboards.channels.following import with_follow
from bot.keyboards.posts.find import TagDraftButton, tag_draft_only
from bot.keyboards.tags.tags import with_tags
from bot.telegram.channel_message import incoming_post
from bot.telegram.middlewares import Toast
from bot.telegram.raw_update import RawUpdate
from bot.views.posts import forwards as views
from bot.views.posts import posts as post_views
from services.accounts.people import CurrentUser
from services.following.service import ChannelService
from services.ingest.channel_posts import ChannelPostResult, ChannelPosts, IncomingPost, drafts_of
from services.library.bot_queries import BotQueries
from services.notifications.outbox import Outbox
from services.tagging.service import TaggingService
from services.text import has_text


async def forwarded(
    message: Message,
    raw_update: RawUpdate,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    channel_posts: ChannelPosts,
    queries: BotQueries,
    outbox: Outbox,
    tagging: TaggingService,
    channels: ChannelService,
) -> None:
    origin = message.forward_origin
    if not isinstance(origin, MessageOriginChannel):
        return
    post = incoming_post(message, raw_update, origin)
    if not has_text(post.text):
        # The other messages of an album carry its caption.
        if message.media_group_id is None:
            await message.answer(views.no_text(t) if post.is_supported else views.not_supported(t))
        return
    receipt = await channel_posts.forwarded(post, user.owner_id, message.chat.id)
    if receipt.post_id is None:
        return
    follow = await not_followed(origin.chat.username, user, channels)
    await tell_tags(receipt, follow, bot, message.chat.id, t, user, queries, outbox, tagging)


async def tell_tags(
    receipt: ChannelPostResult,
    follow: str | None,
    bot: Bot,
    chat_id: int,
    t: Texts,
    user: CurrentUser,
    queries: BotQueries,
    outbox: Outbox,
    tagging: TaggingService,
) -> None:
    """Answer with a stored post's tags, or with a message that will show them. `follow`: a channel to offer."""
    markup = with_follow(t, None, follow)
    if receipt.outbox_id is not None:
        text = views.saved(t, receipt.post_id or 0, await tagging.provider_state(), admin=user.is_admin)
        sent = await bot.send_message(chat_id, text, reply_markup=markup)
        await outbox.attach(receipt.outbox_id, sent.message_id, follow)
        return
    card = await queries.post(receipt.post_id or 0, user_id=user.user_id)
    if card is not None:
        buttons = with_follow(t, with_tags(t, None, card, user.telegram_id, is_card=False), follow)
        await bot.send_message(chat_id, post_views.result(t, card), reply_markup=buttons)


async def from_person(message: Message, t: Texts) -> None:
    """A message of a person or a group, forwarded."""
    markup = tag_draft_only(t) if has_text(message.text) else None
    to = ReplyParameters(message_id=message.message_id, allow_sending_without_reply=True)
    text = views.from_person(t, has_text=markup is not None)
    await message.answer(text, reply_markup=markup, reply_parameters=to)


async def tag_draft(
    press: CallbackQuery,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    channel_posts: ChannelPosts,
    queries: BotQueries,
    outbox: Outbox,
    tagging: TaggingService,
    toast: Toast,
) -> None:
    """Save the text as a post of the person's own, and tag it as a forwarded one."""
    draft = press.message.reply_to_message if isinstance(press.message, Message) else None
    if draft is None or not has_text(draft.text):
        toast.text = t.plain("I can't see that text any more: send it again.")
        return
    post = IncomingPost(
        channel_telegram_id=drafts_of(user.telegram_id),
        channel_title=t.plain("Drafts"),
        channel_username=None,
        message_id=draft.message_id,
        text=draft.text,
        posted_at=draft.date.astimezone(UTC),
    )
    receipt = await channel_posts.forwarded(post, user.owner_id, chat_of(press))
    if receipt.post_id is not None:
        await tell_tags(receipt, None, bot, chat_of(press), t, user, queries, outbox, tagging)


def router() -> Router:
    made = Router(name="forwards")
    made.message.register(forwarded, F.forward_origin.type == "channel")
    # Files may be exports.
    made.message.register(from_person, F.forward_origin.type.in_({"user", "hidden_user", "chat"}) & ~F.document)
    made.callback_query.register(tag_draft, TagDraftButton.filter())
    return made
