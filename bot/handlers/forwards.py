from aiogram import F, Router
from aiogram.types import Message, MessageOriginChannel

from bot.handlers.following import not_followed
from bot.i18n import Texts
from bot.keyboards.following import with_follow
from bot.keyboards.tags import with_tags
from bot.telegram.channel_message import incoming_post
from bot.views import forwards as views
from bot.views import posts as post_views
from services.accounts.people import CurrentUser
from services.following.service import ChannelService
from services.ingest.channel_posts import ChannelPosts
from services.library.bot_queries import BotQueries
from services.notifications.outbox import Outbox
from services.tagging.service import TaggingService
from services.text import has_text


async def forwarded(
    message: Message,
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
    post = incoming_post(message, origin.chat, origin.message_id, origin.date)
    if not has_text(post.text):
        # The other messages of an album carry its caption.
        if message.media_group_id is None:
            await message.answer(views.no_text(t))
        return
    receipt = await channel_posts.forwarded(post, user.owner_id, message.chat.id)
    if receipt.post_id is None:
        return
    follow = await not_followed(origin.chat.username, user, channels)
    markup = with_follow(t, None, follow)
    if receipt.outbox_id is not None:
        text = views.saved(t, receipt.post_id, await tagging.provider_state())
        sent = await message.answer(text, reply_markup=markup)
        await outbox.attach(receipt.outbox_id, sent.message_id, follow)
        return
    card = await queries.post(receipt.post_id, user_id=user.user_id)
    if card is not None:
        buttons = with_tags(t, None, card, user.telegram_id, is_card=False)
        await message.answer(post_views.result(t, card), reply_markup=with_follow(t, buttons, follow))


def router() -> Router:
    made = Router(name="forwards")
    made.message.register(forwarded, F.forward_origin.type == "channel")
    return made
