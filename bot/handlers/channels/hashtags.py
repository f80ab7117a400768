from aiogram import Bot, F, Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message

from bot.delivery.hashtag_edit import may_edit
from bot.handlers.replies import show
from bot.i18n import Texts
from bot.keyboards.channels import hashtags as keyboards
from bot.keyboards.channels.hashtags import HashtagListButton, HashtagSwitchButton, RemoveHashtagsButton
from bot.keyboards.posts import posts as post_keyboards
from bot.telegram.middlewares import Toast
from bot.views.channels import hashtags as views
from bot.views.posts import posts as post_views
from services.accounts.people import CurrentUser
from services.hashtags.service import ChannelHashtags, SwitchResult, UndoResult
from services.library.bot_queries import BotQueries


async def listed(message: Message, t: Texts, user: CurrentUser, hashtags: ChannelHashtags) -> None:
    found = await hashtags.channels(user.telegram_id)
    await message.answer(views.listed(t, found), reply_markup=keyboards.hashtags(t, found))


async def show_list(press: CallbackQuery, bot: Bot, t: Texts, user: CurrentUser, hashtags: ChannelHashtags) -> None:
    found = await hashtags.channels(user.telegram_id)
    await show(press, bot, views.listed(t, found), keyboards.hashtags(t, found))


async def ask(
    press: CallbackQuery,
    callback_data: HashtagSwitchButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    hashtags: ChannelHashtags,
    toast: Toast,
) -> None:
    title = await _title(callback_data, user, hashtags)
    if title is None:
        toast.text = t.plain("This is not your channel.")
        return
    if not await may_edit(bot, callback_data.channel):
        await show(press, bot, views.no_right(t, title))
        return
    await show(press, bot, views.ask(t, title), keyboards.confirm(t, callback_data.channel))


async def switch(
    press: CallbackQuery,
    callback_data: HashtagSwitchButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    hashtags: ChannelHashtags,
    toast: Toast,
) -> None:
    chat_id, on = callback_data.channel, callback_data.on
    title = await _title(callback_data, user, hashtags)
    # Only about a channel of the user: the callback data may be forged.
    can_edit = await may_edit(bot, chat_id) if on and title is not None else None
    match await hashtags.switch(user.telegram_id, chat_id, on=on, can_edit=can_edit):
        case SwitchResult.NOT_THEIRS:
            toast.text = t.plain("This is not your channel.")
        case SwitchResult.NO_RIGHT:
            await show(press, bot, views.no_right(t, title or str(chat_id)))
        case SwitchResult.DONE:
            toast.text = t.plain("Hashtags are on.") if on else t.plain("Hashtags are off.")
            await show_list(press, bot, t, user, hashtags)


async def undo(
    press: CallbackQuery,
    callback_data: RemoveHashtagsButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    hashtags: ChannelHashtags,
    queries: BotQueries,
    toast: Toast,
) -> None:
    words = {
        UndoResult.BEGUN: t.plain("The hashtags of #{post} are being removed.", post=str(callback_data.post)),
        UndoResult.NOTHING: t.plain("My hashtags are not there any more."),
        UndoResult.NOT_THEIRS: t.plain("This is not your channel."),
    }
    outcome = await hashtags.undo(user.telegram_id, callback_data.post)
    toast.text = words[outcome]
    if outcome is UndoResult.NOT_THEIRS:
        return
    if not callback_data.here:
        # Without the button: a second press would undo an older post.
        found = await hashtags.channels(user.telegram_id)
        await show(press, bot, views.listed(t, found), keyboards.hashtags(t, found, with_undo=False))
        return
    card = await queries.post(callback_data.post, user_id=user.scope)
    if card is not None:
        markup = post_keyboards.card(t, card, user)
        await show(press, bot, post_views.card(t, card), markup)


async def _title(data: HashtagSwitchButton, user: CurrentUser, hashtags: ChannelHashtags) -> str | None:
    found = await hashtags.channels(user.telegram_id)
    return next((channel.title for channel in found.channels if channel.id == data.channel), None)


def router() -> Router:
    made = Router(name="hashtags")
    made.message.register(listed, Command("hashtags", ignore_case=True))
    made.callback_query.register(show_list, HashtagListButton.filter())
    made.callback_query.register(switch, HashtagSwitchButton.filter(F.on.is_(False) | F.sure.is_(True)))
    made.callback_query.register(ask, HashtagSwitchButton.filter())
    made.callback_query.register(undo, RemoveHashtagsButton.filter())
    return made
