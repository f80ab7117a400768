"""A post's tags as buttons: press one to take it off, ➕ to add."""

from aiogram import Bot, F, Router
from aiogram.types import CallbackQuery, ForceReply, InlineKeyboardMarkup, Message

from bot.handlers.arguments import parse_post_id
from bot.handlers.questions import AnswerTo, tell_problem
from bot.handlers.replies import chat_of, show
from bot.i18n import Html, Texts
from bot.keyboards.posts import posts as post_keyboards
from bot.keyboards.tags import tags as keyboards
from bot.keyboards.tags.tags import AddTagButton, PostHashtagsButton, PostTagAction, PostTagButton
from bot.telegram.middlewares import Toast
from bot.views.posts import posts as post_views
from bot.views.tags import tags as views
from services.accounts.people import CurrentUser
from services.hashtags.service import ChannelHashtags
from services.library.bot_queries import BotQueries
from services.tags.errors import TagError, TagProblem
from services.tags.post_tags import PostTags


async def press(
    press: CallbackQuery,
    callback_data: PostTagButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    queries: BotQueries,
    post_tags: PostTags,
    toast: Toast,
) -> None:
    card = await queries.post(callback_data.post, user_id=user.owner_id)
    if card is None:
        raise TagError(TagProblem.NO_POST)
    is_put_back = callback_data.action is PostTagAction.PUT_BACK
    names = await post_tags.taken_off(user.owner_id, card.id) if is_put_back else card.tags
    name = next((each for each in names if keyboards.mark(each) == callback_data.mark), None)
    if name is None:
        # Pressed twice, or the tags have changed since: the message shows them as they are.
        toast.text = t.plain("Nothing to change.")
    elif is_put_back:
        await post_tags.add(user.owner_id, card.id, [name])
        toast.text = views.put_back(t, name)
    else:
        await post_tags.take_off(user.owner_id, card.id, name)
        toast.text = views.taken_off(t, name)
    text, markup = await _render(t, user, queries, post_tags, card.id, is_card=callback_data.card)
    await show(press, bot, text, markup)


async def ask(
    press: CallbackQuery, callback_data: AddTagButton, bot: Bot, t: Texts, user: CurrentUser, queries: BotQueries
) -> None:
    if await queries.post(callback_data.post, user_id=user.owner_id) is None:
        raise TagError(TagProblem.NO_POST)
    await bot.send_message(chat_of(press), views.ask_tags(t, callback_data.post), reply_markup=ForceReply())


async def add(
    message: Message, subject: str, t: Texts, user: CurrentUser, queries: BotQueries, post_tags: PostTags
) -> None:
    post_id = parse_post_id(subject)
    if post_id is None:
        raise TagError(TagProblem.NO_POST)
    wanted = [part for part in (message.text or "").split(",") if part.strip()]
    await post_tags.add(user.owner_id, post_id, wanted or [""])
    text, markup = await _render(t, user, queries, post_tags, post_id, is_card=False)
    await message.answer(text, reply_markup=markup)


async def _render(
    t: Texts, user: CurrentUser, queries: BotQueries, post_tags: PostTags, post_id: int, *, is_card: bool
) -> tuple[Html, InlineKeyboardMarkup | None]:
    card = await queries.post(post_id, user_id=user.owner_id)
    if card is None:
        raise TagError(TagProblem.NO_POST)
    viewer = user.telegram_id if is_card else None
    markup = post_keyboards.post(t, card, details=not is_card, admin=user.is_admin, viewer=viewer)
    taken_off = await post_tags.taken_off(user.owner_id, post_id)
    markup = keyboards.with_tags(
        t, markup, card, user.telegram_id, is_card=is_card, taken_off=taken_off, was_changed=True
    )
    return post_views.card(t, card) if is_card else post_views.result(t, card), markup


async def write_hashtags(
    _press: CallbackQuery,
    callback_data: PostHashtagsButton,
    t: Texts,
    user: CurrentUser,
    hashtags: ChannelHashtags,
    toast: Toast,
) -> None:
    count = await hashtags.write_post(user.telegram_id, callback_data.post)
    toast.text = views.hashtags_follow(t, count)


def router() -> Router:
    made = Router(name="post_tags")
    for observer in (made.message, made.callback_query):
        observer.middleware(tell_problem)
    made.message.register(add, AnswerTo(views.ADD), F.text)
    made.callback_query.register(press, PostTagButton.filter())
    made.callback_query.register(ask, AddTagButton.filter())
    made.callback_query.register(write_hashtags, PostHashtagsButton.filter())
    return made
