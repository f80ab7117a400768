import structlog
from aiogram import Bot, F, Router
from aiogram.enums import ChatMemberStatus, ChatType
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError
from aiogram.types import ChatMemberUpdated, Message

from bot.delivery.hashtag_edit import can_edit
from bot.i18n import I18n
from bot.telegram.channel_message import incoming_post
from bot.telegram.raw_update import RawUpdate
from bot.views.channels import channel_news as views
from services.accounts.people import People
from services.ingest.channel_posts import ChannelPosts

log = structlog.get_logger(__name__)

_MEMBER = {ChatMemberStatus.MEMBER, ChatMemberStatus.ADMINISTRATOR, ChatMemberStatus.CREATOR}


async def channel_post(message: Message, raw_update: RawUpdate, channel_posts: ChannelPosts) -> None:
    await channel_posts.channel_post(incoming_post(message, raw_update, message))


async def channel_edit(message: Message, raw_update: RawUpdate, channel_posts: ChannelPosts) -> None:
    await channel_posts.channel_edit(incoming_post(message, raw_update, message))


async def channel_member(
    event: ChatMemberUpdated, bot: Bot, channel_posts: ChannelPosts, people: People, i18n: I18n
) -> None:
    chat, who = event.chat, event.from_user
    if event.new_chat_member.status != ChatMemberStatus.ADMINISTRATOR:
        await channel_posts.bot_removed(chat.id)
        return
    title = chat.title or chat.username or str(chat.id)
    await channel_posts.bot_added(chat.id, title, chat.username, who.id, can_edit(event))
    if event.old_chat_member.status == ChatMemberStatus.ADMINISTRATOR or who.is_bot:
        return
    user = await people.seen(who.id, language_code=who.language_code, name=who.full_name, username=who.username)
    text = views.channel_added(i18n.texts(user.language), title, may_use=user.may_use)
    try:
        await bot.send_message(who.id, text)
    except (TelegramForbiddenError, TelegramBadRequest):
        log.info("cannot_tell", person=who.id, what="channel_added")
        await people.set_reachable(who.id, reachable=False)


async def private_member(event: ChatMemberUpdated, people: People) -> None:
    await people.set_reachable(event.chat.id, event.new_chat_member.status in _MEMBER)


def router() -> Router:
    made = Router(name="channel_updates")
    made.channel_post.register(channel_post)
    made.edited_channel_post.register(channel_edit)
    made.my_chat_member.register(channel_member, F.chat.type == ChatType.CHANNEL)
    made.my_chat_member.register(private_member, F.chat.type == ChatType.PRIVATE)
    return made
