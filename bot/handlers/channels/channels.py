from aiogram import Bot, F, Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message

from bot.handlers.replies import chat_of, show
from bot.i18n import Html, Texts
from bot.keyboards.channels import channels as keyboards
from bot.keyboards.channels.channels import ChannelAction, ChannelButton, ChannelListButton
from bot.keyboards.help import add_to_channel
from bot.telegram.middlewares import Toast
from bot.views.channels import channels as views
from services.accounts.people import CurrentUser
from services.following.service import ALL, MORE_POSTS, ChannelService

#: Fetch now waits this long for the outcome, since a press is answered within a second.
FETCH_SECONDS = 0.4


async def channels_(message: Message, bot: Bot, t: Texts, user: CurrentUser, channels: ChannelService) -> None:
    text, markup = await _list(bot, t, user, channels, 1)
    await message.answer(text, reply_markup=markup)


async def list_page(
    press: CallbackQuery,
    callback_data: ChannelListButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    channels: ChannelService,
) -> None:
    text, markup = await _list(bot, t, user, channels, callback_data.page)
    await show(press, bot, text, markup, here=callback_data.here)


async def _list(
    bot: Bot, t: Texts, user: CurrentUser, channels: ChannelService, page: int
) -> tuple[Html, InlineKeyboardMarkup]:
    shown = await channels.page(user.owner_id, page)
    return views.channels(t, shown), keyboards.channels(t, shown) or await add_to_channel(t, bot)


async def act(
    press: CallbackQuery,
    callback_data: ChannelButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    channels: ChannelService,
    toast: Toast,
) -> None:
    done, words = await _act(t, user.owner_id, callback_data, channels)
    card = await channels.card(user.owner_id, callback_data.channel)
    toast.text = words if done else views.cannot(t, card)
    if done or card is not None:
        await _show_state(press, callback_data, bot, t, user, channels)


async def _act(t: Texts, user_id: int, data: ChannelButton, channels: ChannelService) -> tuple[bool, str]:
    """Returns whether it was done, and the answer to the press."""
    match data.action:
        case ChannelAction.PAUSE | ChannelAction.RESUME:
            return await channels.pause(user_id, data.channel, paused=data.action is ChannelAction.PAUSE), ""
        case ChannelAction.FETCH:
            found = await channels.fetch_now(user_id, data.channel, wait_seconds=FETCH_SECONDS)
            return found is not None, views.fetched(t, found)
        case ChannelAction.TELL | ChannelAction.HUSH:
            on = data.action is ChannelAction.TELL
            return await channels.tell_tagged(user_id, data.channel, on=on), views.news_switched(t, on=on)
        case ChannelAction.STOP:
            return await channels.older(user_id, data.channel, 0), t.plain("Stopped.")
        case ChannelAction.KEEP | ChannelAction.DROP:
            with_posts = data.action is ChannelAction.DROP
            done = await channels.remove(user_id, data.channel, with_posts=with_posts)
            return done, views.no_more(t, await channels.card(user_id, data.channel))
        case _:
            return await channels.card(user_id, data.channel) is not None, ""


async def older(
    press: CallbackQuery,
    callback_data: ChannelButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    channels: ChannelService,
    toast: Toast,
) -> None:
    count = MORE_POSTS if callback_data.action is ChannelAction.OLDER else ALL
    started = await channels.older(user.owner_id, callback_data.channel, count)
    card = await channels.card(user.owner_id, callback_data.channel)
    toast.text = t.plain("Reading…") if started else views.cannot(t, card)
    if card is None:
        return
    message_id = await _show_state(press, callback_data, bot, t, user, channels)
    if started:
        # Only now: otherwise the edit above could overwrite the progress.
        await channels.attach(user.owner_id, callback_data.channel, chat_of(press), message_id)


async def ask_before_removal(
    press: CallbackQuery,
    callback_data: ChannelButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    channels: ChannelService,
    toast: Toast,
) -> None:
    card = await channels.card(user.owner_id, callback_data.channel)
    if card is None:
        toast.text = views.cannot(t, card)
        return
    markup = keyboards.remove_question(t, card, callback_data.page, card=callback_data.card)
    await show(press, bot, views.remove_question(t, card), markup)


async def _show_state(
    press: CallbackQuery, data: ChannelButton, bot: Bot, t: Texts, user: CurrentUser, channels: ChannelService
) -> int:
    card = await channels.card(user.owner_id, data.channel) if data.card else None
    if card is not None:
        return await show(press, bot, views.card(t, card), keyboards.card(t, card, data.page))
    return await show(press, bot, *await _list(bot, t, user, channels, data.page))


def router() -> Router:
    made = Router(name="channels")
    made.message.register(channels_, Command("channels", ignore_case=True))
    made.callback_query.register(list_page, ChannelListButton.filter())
    made.callback_query.register(ask_before_removal, ChannelButton.filter(F.action == ChannelAction.REMOVE))
    fetch_older = F.action.in_({ChannelAction.OLDER, ChannelAction.ALL_OLDER})
    made.callback_query.register(older, ChannelButton.filter(fetch_older))
    made.callback_query.register(act, ChannelButton.filter())
    return made
