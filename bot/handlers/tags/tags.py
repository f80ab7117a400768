"""/tags, /rename, /merge, /ban, and the buttons and questions of a tag."""

from aiogram import Bot, F, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, ForceReply, InlineKeyboardMarkup, Message

from bot.handlers.arguments import parse_tag_pair
from bot.handlers.questions import AnswerTo, tell_problem
from bot.handlers.replies import chat_of, show
from bot.i18n import Html, Texts
from bot.keyboards.tags import tags as keyboards
from bot.keyboards.tags.tags import (
    PAGE_SIZE,
    ChangedHashtagsButton,
    TagAction,
    TagButton,
    TagListButton,
    UndoChangeButton,
)
from bot.telegram.middlewares import Toast
from bot.views.tags import tags as views
from services.accounts.people import CurrentUser
from services.hashtags.service import ChannelHashtags
from services.tags.vocabulary import Vocabularies


async def tags(
    message: Message, command: CommandObject, t: Texts, user: CurrentUser, vocabularies: Vocabularies
) -> None:
    text, markup = await _page(t, user, vocabularies, 1, keyboards.searchable(command.args or ""))
    await message.answer(text, reply_markup=markup)


async def page(
    press: CallbackQuery,
    callback_data: TagListButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    vocabularies: Vocabularies,
) -> None:
    text, markup = await _page(t, user, vocabularies, callback_data.page, callback_data.search)
    await show(press, bot, text, markup)


async def _page(
    t: Texts, user: CurrentUser, vocabularies: Vocabularies, number: int, search: str
) -> tuple[Html, InlineKeyboardMarkup | None]:
    found = await vocabularies.tags(user.owner_id, search, offset=(number - 1) * PAGE_SIZE, limit=PAGE_SIZE)
    pages = -(-found.total // PAGE_SIZE)
    if pages and number > pages:
        return await _page(t, user, vocabularies, pages, search)
    return views.listed(t, found, number, pages, search), keyboards.tags(t, found, number, search)


async def tag(
    press: CallbackQuery, callback_data: TagButton, bot: Bot, t: Texts, user: CurrentUser, vocabularies: Vocabularies
) -> None:
    """In a message of its own: the list stays."""
    card = await vocabularies.tag(user.owner_id, callback_data.tag)
    posts = await vocabularies.newest_posts(user.owner_id, card.id)
    await show(press, bot, views.tag(t, card, posts), keyboards.tag(t, card), here=False)


async def ask(
    press: CallbackQuery, callback_data: TagButton, bot: Bot, t: Texts, user: CurrentUser, vocabularies: Vocabularies
) -> None:
    card = await vocabularies.tag(user.owner_id, callback_data.tag)
    question = views.ask_name if callback_data.action is TagAction.RENAME else views.ask_target
    await bot.send_message(chat_of(press), question(t, card), reply_markup=ForceReply())


async def ask_ban(
    press: CallbackQuery, callback_data: TagButton, bot: Bot, t: Texts, user: CurrentUser, vocabularies: Vocabularies
) -> None:
    card = await vocabularies.tag(user.owner_id, callback_data.tag)
    await show(press, bot, views.ask_ban(t, card), keyboards.ban_question(t, card))


async def rename(
    message: Message,
    t: Texts,
    user: CurrentUser,
    vocabularies: Vocabularies,
    hashtags: ChannelHashtags,
    command: CommandObject | None = None,
    subject: str | None = None,
) -> None:
    pair = _pair(message, command, subject)
    if pair is None:
        await message.answer(views.usage_rename(t))
        return
    before = await vocabularies.find(user.owner_id, pair[0])
    made = await vocabularies.rename(user.owner_id, before.id, pair[1])
    markup = await _changed(t, user, hashtags, made.change_id)
    await message.answer(views.renamed(t, before, made.tag), reply_markup=markup)


async def merge(
    message: Message,
    t: Texts,
    user: CurrentUser,
    vocabularies: Vocabularies,
    hashtags: ChannelHashtags,
    command: CommandObject | None = None,
    subject: str | None = None,
) -> None:
    pair = _pair(message, command, subject)
    if pair is None:
        await message.answer(views.usage_merge(t))
        return
    before = await vocabularies.find(user.owner_id, pair[0])
    made = await vocabularies.merge(user.owner_id, before.id, pair[1])
    markup = await _changed(t, user, hashtags, made.change_id)
    await message.answer(views.merged(t, before, made.tag), reply_markup=markup)


def _pair(message: Message, command: CommandObject | None, subject: str | None) -> tuple[str, str] | None:
    """From a command's arguments, or from a question's subject and its answer."""
    if subject is not None:
        return subject, message.text or ""
    return parse_tag_pair(command.args if command is not None else None)


async def ban_command(
    message: Message,
    command: CommandObject,
    t: Texts,
    user: CurrentUser,
    vocabularies: Vocabularies,
    hashtags: ChannelHashtags,
) -> None:
    if not command.args:
        await message.answer(views.usage_ban(t))
        return
    before = await vocabularies.find(user.owner_id, command.args)
    made = await vocabularies.ban(user.owner_id, before.id)
    markup = await _changed(t, user, hashtags, made.change_id)
    await message.answer(views.banned(t, before, taken_off=False), reply_markup=markup)


async def ban(
    press: CallbackQuery,
    callback_data: TagButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    vocabularies: Vocabularies,
    hashtags: ChannelHashtags,
) -> None:
    take_off = callback_data.action is TagAction.TAKE_OFF
    before = await vocabularies.tag(user.owner_id, callback_data.tag)
    made = await vocabularies.ban(user.owner_id, before.id, take_off=take_off)
    markup = await _changed(t, user, hashtags, made.change_id)
    await show(press, bot, views.banned(t, before, taken_off=take_off), markup)


async def undo(
    press: CallbackQuery,
    callback_data: UndoChangeButton | TagButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    vocabularies: Vocabularies,
    hashtags: ChannelHashtags,
) -> None:
    if isinstance(callback_data, UndoChangeButton):
        made = await vocabularies.undo(user.owner_id, callback_data.change)
    else:
        made = await vocabularies.undo(user.owner_id, tag_id=callback_data.tag)
    markup = await _changed(t, user, hashtags, made.change_id, undo=False)
    await show(press, bot, views.undone(t, made.tag), markup)


async def _changed(
    t: Texts, user: CurrentUser, hashtags: ChannelHashtags, change_id: int, *, undo: bool = True
) -> InlineKeyboardMarkup | None:
    posts = await hashtags.count_changed(user.telegram_id, user.owner_id, change_id)
    return keyboards.changed(t, change_id, hashtags=posts, undo=undo)


async def change_hashtags(
    _press: CallbackQuery,
    callback_data: ChangedHashtagsButton,
    t: Texts,
    user: CurrentUser,
    hashtags: ChannelHashtags,
    toast: Toast,
) -> None:
    count = await hashtags.write_changed(user.telegram_id, user.owner_id, callback_data.change)
    toast.text = views.hashtags_follow(t, count)


def router() -> Router:
    made = Router(name="tags")
    for observer in (made.message, made.callback_query):
        observer.middleware(tell_problem)
    made.message.register(tags, Command("tags", ignore_case=True))
    made.message.register(rename, Command("rename", ignore_case=True))
    made.message.register(merge, Command("merge", ignore_case=True))
    made.message.register(ban_command, Command("ban", ignore_case=True))
    made.message.register(rename, AnswerTo(views.RENAME))
    made.message.register(merge, AnswerTo(views.MERGE))
    made.callback_query.register(page, TagListButton.filter())
    made.callback_query.register(tag, TagButton.filter(F.action == TagAction.SHOW))
    made.callback_query.register(ask, TagButton.filter(F.action.in_({TagAction.RENAME, TagAction.MERGE})))
    made.callback_query.register(ask_ban, TagButton.filter(F.action == TagAction.BAN))
    made.callback_query.register(ban, TagButton.filter(F.action.in_({TagAction.KEEP, TagAction.TAKE_OFF})))
    made.callback_query.register(undo, TagButton.filter(F.action == TagAction.UNDO))
    made.callback_query.register(undo, UndoChangeButton.filter())
    made.callback_query.register(change_hashtags, ChangedHashtagsButton.filter())
    return made
