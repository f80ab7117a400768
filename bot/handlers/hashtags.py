"""/hashtags: where tags go back into the channel, and the way back."""

from __future__ import annotations

from dataclasses import replace

from aiogram import Bot, F, Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message

from bot import keyboards
from bot.delivery.hashtag_edit import may_edit
from bot.handlers.replies import owner_scope, show
from bot.i18n import Texts
from bot.keyboards import HashtagList, Hashtags, HashtagUndo
from bot.telegram.middlewares import Toast
from bot.views import hashtags as views
from bot.views import posts as post_views
from services.accounts.people import Caller
from services.hashtags.service import ChannelHashtags, Switched, Undo
from services.library.overview import Overview


async def listed(message: Message, t: Texts, caller: Caller, hashtags: ChannelHashtags) -> None:
    """One's channels, each with a button."""
    found = await hashtags.channels(caller.telegram_id)
    await message.answer(views.listed(t, found), reply_markup=keyboards.hashtags(t, found))


async def listed_again(press: CallbackQuery, bot: Bot, t: Texts, caller: Caller, hashtags: ChannelHashtags) -> None:
    """The same, in the message that asked."""
    found = await hashtags.channels(caller.telegram_id)
    await show(press, bot, views.listed(t, found), keyboards.hashtags(t, found))


async def ask(
    press: CallbackQuery,
    callback_data: Hashtags,
    bot: Bot,
    t: Texts,
    caller: Caller,
    hashtags: ChannelHashtags,
    toast: Toast,
) -> None:
    """Say what will happen, and ask."""
    title = await _title(callback_data, caller, hashtags)
    if title is None:
        toast.text = t.plain("This is not your channel.")
        return
    if not await may_edit(bot, callback_data.channel):
        await show(press, bot, views.no_right(t, title))
        return
    await show(press, bot, views.ask(t, title), keyboards.hashtags_sure(t, callback_data.channel))


async def switch(
    press: CallbackQuery,
    callback_data: Hashtags,
    bot: Bot,
    t: Texts,
    caller: Caller,
    hashtags: ChannelHashtags,
    toast: Toast,
) -> None:
    """On or off."""
    chat_id, on = callback_data.channel, callback_data.on
    title = await _title(callback_data, caller, hashtags)
    # Telegram is asked about a person's own channels only.
    can_edit = await may_edit(bot, chat_id) if on and title is not None else None
    match await hashtags.switch(caller.telegram_id, chat_id, on=on, can_edit=can_edit):
        case Switched.NOT_THEIRS:
            toast.text = t.plain("This is not your channel.")
        case Switched.NO_RIGHT:
            await show(press, bot, views.no_right(t, title or str(chat_id)))
        case Switched.DONE:
            toast.text = t.plain("Hashtags are on.") if on else t.plain("Hashtags are off.")
            await listed_again(press, bot, t, caller, hashtags)


async def undo(
    press: CallbackQuery,
    callback_data: HashtagUndo,
    bot: Bot,
    t: Texts,
    caller: Caller,
    hashtags: ChannelHashtags,
    overview: Overview,
    toast: Toast,
) -> None:
    """Put a post back as it was."""
    words = {
        Undo.BEGUN: t.plain("The hashtags of #{post} are being removed.", post=str(callback_data.post)),
        Undo.NOTHING: t.plain("No hashtags of mine stand there any more."),
        Undo.NOT_THEIRS: t.plain("This is not your channel."),
    }
    outcome = await hashtags.undo(caller.telegram_id, callback_data.post)
    toast.text = words[outcome]
    if outcome is Undo.NOT_THEIRS:
        return
    if not callback_data.here:
        # Without the button: a second press must not undo the post before.
        found = replace(await hashtags.channels(caller.telegram_id), last_written=None)
        await show(press, bot, views.listed(t, found), keyboards.hashtags(t, found))
        return
    card = await overview.post(callback_data.post, user_id=owner_scope(caller))
    if card is not None:
        markup = keyboards.post(t, card, details=False, admin=caller.is_admin, viewer=caller.telegram_id)
        await show(press, bot, post_views.card(t, card), markup)


async def _title(data: Hashtags, caller: Caller, hashtags: ChannelHashtags) -> str | None:
    found = await hashtags.channels(caller.telegram_id)
    return next((channel.title for channel in found.channels if channel.id == data.channel), None)


def router() -> Router:
    """This topic's handlers."""
    made = Router(name="hashtags")
    made.message.register(listed, Command("hashtags", ignore_case=True))
    made.callback_query.register(listed_again, HashtagList.filter())
    made.callback_query.register(switch, Hashtags.filter(F.on.is_(False) | F.sure.is_(True)))
    made.callback_query.register(ask, Hashtags.filter())
    made.callback_query.register(undo, HashtagUndo.filter())
    return made
