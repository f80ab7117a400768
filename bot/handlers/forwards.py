"""Channel posts that a user forwards to the bot."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.types import Message, MessageOriginChannel

from bot.handlers.following import not_followed
from bot.handlers.replies import user_of
from bot.i18n import Texts
from bot.keyboards.channels import with_follow
from bot.telegram.channel_message import incoming_post
from bot.views import help as help_views
from bot.views import posts as views
from services.accounts.people import Caller
from services.following.service import Channels
from services.ingest.channel_posts import ChannelPosts
from services.library.overview import Overview
from services.notifications.outbox import Outbox
from services.tagging.service import TaggingService
from services.text import has_text


async def forwarded(
    message: Message,
    t: Texts,
    caller: Caller,
    channel_posts: ChannelPosts,
    overview: Overview,
    outbox: Outbox,
    tagging: TaggingService,
    channels: Channels,
) -> None:
    """Store the post once; its tags come now if they are there, else into the answer.

    A public channel that is not followed yet may be by a button.
    """
    origin = message.forward_origin
    if not isinstance(origin, MessageOriginChannel):
        return
    post = incoming_post(message, origin.chat, origin.message_id, origin.date)
    if not has_text(post.text):
        # An album's caption comes with another of its messages.
        if message.media_group_id is None:
            await message.answer(help_views.no_text(t))
        return
    receipt = await channel_posts.forwarded(post, user_of(caller), message.chat.id)
    if receipt.post_id is None:
        return
    follow = await not_followed(origin.chat.username, caller, channels)
    markup = with_follow(t, None, follow)
    if receipt.outbox_id is not None:
        text = views.saved(t, receipt.post_id, await tagging.provider_state())
        sent = await message.answer(text, reply_markup=markup)
        await outbox.attach(receipt.outbox_id, sent.message_id, follow)
        return
    card = await overview.post(receipt.post_id, user_id=caller.user_id)
    if card is not None:
        await message.answer(views.result(t, card), reply_markup=markup)


def router() -> Router:
    """This topic's handlers."""
    made = Router(name="forwards")
    made.message.register(forwarded, F.forward_origin.type == "channel")
    return made
