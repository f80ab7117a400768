"""/channels, and the buttons of its channels."""

from __future__ import annotations

from aiogram import Bot, F, Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message

from bot.handlers.replies import chat_of, show, user_of
from bot.i18n import Html, Texts
from bot.keyboards import channels as keyboards
from bot.keyboards.channels import ChannelAction, ChannelButton, ChannelList
from bot.telegram.middlewares import Toast
from bot.views import channels as views
from services.accounts.people import Caller
from services.following.service import ALL, MORE_POSTS, Channels

#: So long a press waits for what comes of it: presses are answered within a second.
FETCH_SECONDS = 0.7


async def channels_(message: Message, t: Texts, caller: Caller, channels: Channels) -> None:
    """One's channels."""
    text, markup = await _list(t, caller, channels, 1)
    await message.answer(text, reply_markup=markup)


async def list_page(
    press: CallbackQuery, callback_data: ChannelList, bot: Bot, t: Texts, caller: Caller, channels: Channels
) -> None:
    """Another page of them."""
    text, markup = await _list(t, caller, channels, callback_data.page)
    await show(press, bot, text, markup, here=callback_data.here)


async def _list(t: Texts, caller: Caller, channels: Channels, page: int) -> tuple[Html, InlineKeyboardMarkup | None]:
    shown = await channels.page(user_of(caller), page)
    return views.channels(t, shown), keyboards.channels(t, shown)


async def act(
    press: CallbackQuery,
    callback_data: ChannelButton,
    bot: Bot,
    t: Texts,
    caller: Caller,
    channels: Channels,
    toast: Toast,
) -> None:
    """Pause, resume, fetch now, stop or remove; the message then shows how it stands."""
    done, words = await _act(t, user_of(caller), callback_data, channels)
    card = await channels.card(user_of(caller), callback_data.channel)
    toast.text = words if done else views.cannot(t, card)
    if done or card is not None:
        await _show_standing(press, callback_data, bot, t, caller, channels)


async def _act(t: Texts, user_id: int, data: ChannelButton, channels: Channels) -> tuple[bool, str]:
    """Whether it was done, and what to say then."""
    match data.action:
        case ChannelAction.PAUSE | ChannelAction.RESUME:
            return await channels.pause(user_id, data.channel, paused=data.action is ChannelAction.PAUSE), ""
        case ChannelAction.FETCH:
            found = await channels.fetch_now(user_id, data.channel, wait_seconds=FETCH_SECONDS)
            return found is not None, views.fetched(t, found)
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
    caller: Caller,
    channels: Channels,
    toast: Toast,
) -> None:
    """Read further back; the message shows how far that is."""
    count = MORE_POSTS if callback_data.action is ChannelAction.OLDER else ALL
    started = await channels.older(user_of(caller), callback_data.channel, count)
    card = await channels.card(user_of(caller), callback_data.channel)
    toast.text = t.plain("Reading…") if started else views.cannot(t, card)
    if card is None:
        return
    message_id = await _show_standing(press, callback_data, bot, t, caller, channels)
    if started:
        # After the message says so: the progress is not to be written over.
        await channels.attach(user_of(caller), callback_data.channel, chat_of(press), message_id)


async def ask(
    press: CallbackQuery,
    callback_data: ChannelButton,
    bot: Bot,
    t: Texts,
    caller: Caller,
    channels: Channels,
    toast: Toast,
) -> None:
    """Whether the channel is to be removed, and what of its posts."""
    card = await channels.card(user_of(caller), callback_data.channel)
    if card is None:
        toast.text = views.cannot(t, card)
        return
    markup = keyboards.question(t, card, callback_data.page, card=callback_data.card)
    await show(press, bot, views.question(t, card), markup)


async def _show_standing(
    press: CallbackQuery, data: ChannelButton, bot: Bot, t: Texts, caller: Caller, channels: Channels
) -> int:
    """The channel's card, or the page of the list from which the button was pressed."""
    card = await channels.card(user_of(caller), data.channel) if data.card else None
    if card is not None:
        return await show(press, bot, views.card(t, card), keyboards.card(t, card, data.page))
    return await show(press, bot, *await _list(t, caller, channels, data.page))


def router() -> Router:
    """This topic's handlers."""
    made = Router(name="channel_list")
    made.message.register(channels_, Command("channels", ignore_case=True))
    made.callback_query.register(list_page, ChannelList.filter())
    made.callback_query.register(ask, ChannelButton.filter(F.action == ChannelAction.REMOVE))
    further_back = F.action.in_({ChannelAction.OLDER, ChannelAction.ALL_OLDER})
    made.callback_query.register(older, ChannelButton.filter(further_back))
    made.callback_query.register(act, ChannelButton.filter())
    return made
