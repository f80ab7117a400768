from aiogram import Bot, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message

from bot.handlers.arguments import parse_tag
from bot.handlers.replies import show
from bot.i18n import Html, Texts
from bot.keyboards.channels import feeds as keyboards
from bot.keyboards.channels.feeds import NewFeedLinkButton, RenewFeedButton
from bot.telegram.middlewares import Toast
from bot.views.channels import feeds as views
from services.accounts.people import CurrentUser
from services.library.feeds import MAX_TAG_LENGTH, Feeds, tag_in


async def feed(message: Message, command: CommandObject, t: Texts, user: CurrentUser, feeds: Feeds) -> None:
    tag = parse_tag(command.args)
    if tag is not None and len(tag) > MAX_TAG_LENGTH:
        await message.answer(views.tag_too_long(t))
        return
    text, markup = await _feed(t, user, feeds, tag)
    await message.answer(text, reply_markup=markup)


async def _feed(t: Texts, user: CurrentUser, feeds: Feeds, tag: str | None) -> tuple[Html, InlineKeyboardMarkup | None]:
    link = await feeds.link(user.owner_id, user.telegram_id, tag)
    if link is None:
        return views.no_public_url(t, admin=user.is_admin), None
    is_empty = tag is not None and not await feeds.has_posts(user.owner_id, tag)
    return views.feed(t, link, tag, is_empty=is_empty), keyboards.feed(t)


async def ask(press: CallbackQuery, bot: Bot, t: Texts, user: CurrentUser, feeds: Feeds) -> None:
    link = await feeds.link(user.owner_id, user.telegram_id, _tag(press))
    if link is None:
        await show(press, bot, views.no_public_url(t, admin=user.is_admin))
    else:
        await show(press, bot, views.ask_new_link(t, link), keyboards.confirm(t))


async def answer(
    press: CallbackQuery,
    callback_data: RenewFeedButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    feeds: Feeds,
    toast: Toast,
) -> None:
    if callback_data.renew:
        await feeds.renew(user.owner_id, user.telegram_id)
        toast.text = views.feed_renewed(t)
    await show(press, bot, *await _feed(t, user, feeds, _tag(press)))


def _tag(press: CallbackQuery) -> str | None:
    """From the link in the message: a tag is too long for a button."""
    return tag_in(press.message.text or "") if isinstance(press.message, Message) else None


def router() -> Router:
    made = Router(name="feeds")
    made.message.register(feed, Command("feed", ignore_case=True))
    made.callback_query.register(ask, NewFeedLinkButton.filter())
    made.callback_query.register(answer, RenewFeedButton.filter())
    return made
