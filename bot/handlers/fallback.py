from aiogram import Bot, F, Router
from aiogram.types import CallbackQuery, Message

from bot.handlers.channels.following import not_followed
from bot.handlers.posts.find import search_text
from bot.handlers.posts.posts import send_card
from bot.i18n import Texts
from bot.keyboards.channels.following import with_follow
from bot.telegram.middlewares import Toast
from bot.views import help as views
from bot.views.channels import following as following_views
from bot.views.posts import find as find_views
from services.accounts.people import CurrentUser
from services.following.channel_names import only_name
from services.following.service import ChannelService
from services.library.bot_queries import BotQueries
from services.library.message_links import read_link
from services.library.search import Search


async def unknown_command(message: Message, t: Texts) -> None:
    await message.answer(find_views.unknown_command(t, (message.text or "").split()[0]))


async def text(
    message: Message,
    t: Texts,
    user: CurrentUser,
    channels: ChannelService,
    search: Search,
    queries: BotQueries,
) -> None:
    link = read_link(message.text or "")
    post_id = await queries.linked(link, user.owner_id) if link is not None else None
    name = only_name(message.text or "")
    if post_id is not None:
        await send_card(post_id, message, t, user, queries, search)
    elif name is None:
        await search_text(message, t, user, search)
    elif await not_followed(name, user, channels) is None:
        await message.answer(following_views.known(t, name))
    else:
        await message.answer(following_views.offer(t, name), reply_markup=with_follow(t, None, name))


def is_own_card(message: Message, bot: Bot) -> bool:
    return message.via_bot is not None and message.via_bot.id == bot.id


async def own_card(_message: Message) -> None:
    """A post that the person chose from the bot's own inline answer: it needs no answer."""


async def anything(message: Message, t: Texts) -> None:
    await message.answer(views.hint(t))


async def forged(_press: CallbackQuery, t: Texts, toast: Toast) -> None:
    toast.text = t.plain("This button no longer works.")


def router() -> Router:
    made = Router(name="fallback")
    made.message.register(own_card, is_own_card)
    made.message.register(unknown_command, F.text.startswith("/"))
    made.message.register(text, F.text)
    made.message.register(anything, F.photo | F.video | F.document | F.audio | F.voice)
    made.callback_query.register(forged)
    return made
