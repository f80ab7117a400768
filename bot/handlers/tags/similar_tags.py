"""Pairs of tags that may mean the same: Merge or Different."""

from aiogram import Bot, F, Router
from aiogram.types import CallbackQuery

from bot.handlers.questions import tell_problem
from bot.handlers.replies import show
from bot.handlers.tags import rules
from bot.i18n import Texts
from bot.keyboards.tags import tags as keyboards
from bot.keyboards.tags.tags import PairAction, SimilarTagsButton, TagPairButton
from bot.telegram.middlewares import Toast
from bot.views.tags import tags as views
from services.accounts.people import CurrentUser
from services.hashtags.service import ChannelHashtags
from services.tagging.similar_tags import SimilarTags


async def next_pair(
    press: CallbackQuery, bot: Bot, t: Texts, user: CurrentUser, similar_tags: SimilarTags, toast: Toast
) -> None:
    toast.text = views.looking(t)
    pair = await similar_tags.next(user.owner_id)
    await show(press, bot, views.similar(t, pair), keyboards.similar(t, pair), here=False)


async def merge(
    press: CallbackQuery,
    callback_data: TagPairButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    similar_tags: SimilarTags,
    hashtags: ChannelHashtags,
) -> None:
    made = await similar_tags.merge(user.owner_id, callback_data.tag, callback_data.other)
    posts = await hashtags.count_changed(user.telegram_id, user.owner_id, made.change.change_id)
    markup = keyboards.changed(t, made.change.change_id, hashtags=posts, undo=True, similar=True)
    await show(press, bot, views.merged(t, made.before, made.change.tag), markup)


async def differ(
    press: CallbackQuery,
    callback_data: TagPairButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    similar_tags: SimilarTags,
    toast: Toast,
) -> None:
    pair = await similar_tags.differ(user.owner_id, callback_data.tag, callback_data.other)
    toast.text = views.differ(t)
    await show(press, bot, views.similar(t, pair), keyboards.similar(t, pair))


def router() -> Router:
    made = Router(name="similar tags")
    for tells in (tell_problem, rules.tell_problem):
        made.callback_query.middleware(tells)
    made.callback_query.register(next_pair, SimilarTagsButton.filter())
    made.callback_query.register(merge, TagPairButton.filter(F.action == PairAction.MERGE))
    made.callback_query.register(differ, TagPairButton.filter(F.action == PairAction.DIFFERENT))
    return made
