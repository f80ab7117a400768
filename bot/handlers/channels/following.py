"""/add, /remove, and the button Follow."""

from contextlib import suppress

from aiogram import Bot, Router
from aiogram.exceptions import TelegramBadRequest
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message, MessageOriginChannel

from bot.handlers.replies import chat_of
from bot.i18n import Texts
from bot.keyboards.channels import channels as keyboards
from bot.keyboards.channels.following import FollowButton
from bot.telegram.middlewares import Toast
from bot.views.channels import channels as channel_views
from bot.views.channels import following as views
from services.accounts.people import CurrentUser
from services.following.channel_names import channel_names, is_name
from services.following.service import AddOutcome, AddResult, ChannelService

#: Up to this number of channels added at once get a message of their own, which shows the progress.
MOST_MESSAGES = 5


async def add(
    message: Message, command: CommandObject, bot: Bot, t: Texts, user: CurrentUser, channels: ChannelService
) -> None:
    wanted = _wanted(message, command)
    if wanted is None:
        await message.answer(views.no_public_name(t))
        return
    names, unusable = channel_names(wanted)
    added = await channels.add(user.owner_id, names, message.chat.id) if names else []
    shown = await _show_readings(bot, t, user, channels, added, message.chat.id)
    channels.read_now()
    rest = [each for each in added if each not in shown]
    if rest or unusable:
        await message.answer(views.additions(t, rest, unusable))
    elif not added:
        await message.answer(views.how_to_add(t))


async def _show_readings(
    bot: Bot, t: Texts, user: CurrentUser, channels: ChannelService, added: list[AddResult], chat_id: int
) -> list[AddResult]:
    """Send a message for each new channel, unless they are many. Returns the channels that have one."""
    new = [each for each in added if each.outcome is AddOutcome.NEW and each.channel_id is not None]
    if len(new) > MOST_MESSAGES:
        return []
    for each in new:
        sent = await bot.send_message(chat_id, views.reading(t, each.name))
        is_attached = await channels.attach(user.owner_id, each.channel_id or 0, chat_id, sent.message_id)
        if not is_attached:
            # The channel has been read meanwhile, and its posts were reported.
            await bot.delete_message(chat_id, sent.message_id)
    return new


def _wanted(message: Message, command: CommandObject) -> str | None:
    """The text that names channels; None if the command replies to a post of a channel without a public name."""
    replied = message.reply_to_message
    origin = replied.forward_origin if replied is not None else None
    if command.args or not isinstance(origin, MessageOriginChannel):
        return command.args or ""
    return origin.chat.username


async def follow(
    press: CallbackQuery,
    callback_data: FollowButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    channels: ChannelService,
    toast: Toast,
) -> None:
    added = await channels.add(user.owner_id, [callback_data.name], chat_of(press))
    toast.text = views.followed(t, added[0])
    await _show_readings(bot, t, user, channels, added, chat_of(press))
    channels.read_now()
    await _take_away(press)


async def not_followed(name: str | None, user: CurrentUser, channels: ChannelService) -> str | None:
    """Return the name, or None if the user follows that channel."""
    card = await channels.named(user.owner_id, name) if name is not None and is_name(name) else None
    return None if card is not None and card.is_read else name


async def _take_away(press: CallbackQuery) -> None:
    if not isinstance(press.message, Message) or press.message.reply_markup is None:
        return
    rows = press.message.reply_markup.inline_keyboard
    left = [kept for row in rows if (kept := [each for each in row if each.callback_data != press.data])]
    with suppress(TelegramBadRequest):
        await press.message.edit_reply_markup(reply_markup=InlineKeyboardMarkup(inline_keyboard=left))


async def remove(
    message: Message, command: CommandObject, t: Texts, user: CurrentUser, channels: ChannelService
) -> None:
    names, unusable = channel_names(_wanted(message, command) or "")
    cards = {name: await channels.named(user.owner_id, name) for name in names}
    if len(names) == 1 and not unusable and (card := cards[names[0]]) is not None:
        markup = keyboards.remove_question(t, card, page=1, card=False)
        await message.answer(channel_views.remove_question(t, card), reply_markup=markup)
    elif names or unusable:
        read = {name: card.id for name, card in cards.items() if card is not None and card.is_read}
        gone = [name for name, id_ in read.items() if await channels.remove(user.owner_id, id_, with_posts=False)]
        await message.answer(views.removed(t, gone, [name for name in names if name not in gone], unusable))
    else:
        await message.answer(views.usage_remove(t))


def router() -> Router:
    made = Router(name="following")
    made.message.register(add, Command("add", ignore_case=True))
    made.message.register(remove, Command("remove", ignore_case=True))
    made.callback_query.register(follow, FollowButton.filter())
    return made
