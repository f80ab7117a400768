from aiogram import Bot, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message

from bot.handlers.arguments import parse_tag
from bot.handlers.replies import show
from bot.i18n import Texts
from bot.keyboards import feeds as keyboards
from bot.keyboards.feeds import NewFeedLinkButton
from bot.telegram.middlewares import Toast
from bot.views import feeds as views
from services.accounts.people import CurrentUser
from services.library.feeds import MAX_TAG_LENGTH, Feeds


async def feed(message: Message, command: CommandObject, t: Texts, user: CurrentUser, feeds: Feeds) -> None:
    tag = parse_tag(command.args)
    if tag is not None and len(tag) > MAX_TAG_LENGTH:
        await message.answer(views.tag_too_long(t))
        return
    link = await feeds.link(user.owner_id, user.telegram_id, tag)
    if link is None:
        await message.answer(views.no_public_url(t, admin=user.is_admin))
        return
    is_empty = tag is not None and not await feeds.has_posts(user.owner_id, tag)
    await message.answer(views.feed(t, link, tag, is_empty=is_empty), reply_markup=keyboards.feed(t))


async def new_feed_link(
    press: CallbackQuery, bot: Bot, t: Texts, user: CurrentUser, feeds: Feeds, toast: Toast
) -> None:
    await feeds.renew(user.owner_id, user.telegram_id)
    link = await feeds.link(user.owner_id, user.telegram_id)
    if link is None:
        await show(press, bot, views.no_public_url(t, admin=user.is_admin))
        return
    await show(press, bot, views.feed(t, link, None), keyboards.feed(t))
    toast.text = views.feed_renewed(t)


def router() -> Router:
    made = Router(name="feeds")
    made.message.register(feed, Command("feed", ignore_case=True))
    made.callback_query.register(new_feed_link, NewFeedLinkButton.filter())
    return made
