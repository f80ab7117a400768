"""/rules: a draft that buttons and answers change, tried on the last posts, and saved."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, unquote

from aiogram import Bot, F, Router
from aiogram.enums import MessageEntityType
from aiogram.filters import Command
from aiogram.types import CallbackQuery, ForceReply, InlineKeyboardMarkup, Message, TelegramObject

from bot.handlers.replies import chat_of, show
from bot.i18n import Html, Texts, escape
from bot.keyboards.tags import rules as keyboards
from bot.keyboards.tags.rules import PAGE_SIZE, RuledChannelsButton, RulesAction, RulesButton
from bot.telegram.middlewares import Toast
from bot.views.tags import rules as views
from services.accounts.people import CurrentUser
from services.tagging.rules_trial import RulesTrial
from services.tagging.single_request import TrialError
from services.tags.rules import RuleError, RuleSettings, checked
from services.tags.user_rules import RulesInForce, UserRules

#: Before the draft in the link of a question.
LINK = "https://t.me/?rules="


async def tell_problem(
    handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]], event: TelegramObject, data: dict[str, Any]
) -> Any:
    """A middleware: what cannot be done is said in one sentence."""
    try:
        return await handler(event, data)
    except (RuleError, TrialError) as error:
        said = views.problem(data["t"], error.problem)
        if isinstance(event, Message):
            return await event.answer(escape(said))
        if isinstance(event, CallbackQuery) and isinstance(error, TrialError):
            # The press may have been answered meanwhile.
            return await show(event, data["bot"], escape(said), here=False)
        data["toast"].text = said
        return None


async def command(message: Message, t: Texts, user: CurrentUser, rules: UserRules) -> None:
    text, markup = await _saved(t, user, rules, None)
    await message.answer(text, reply_markup=markup)


async def open_saved(
    press: CallbackQuery, callback_data: RulesButton, bot: Bot, t: Texts, user: CurrentUser, rules: UserRules
) -> None:
    await show(press, bot, *await _saved(t, user, rules, callback_data.channel_id))


async def change(
    press: CallbackQuery, callback_data: RulesButton, bot: Bot, t: Texts, user: CurrentUser, rules: UserRules
) -> None:
    is_cleared = callback_data.action is RulesAction.CLEAR_INSTRUCTION
    instruction = None if is_cleared else _instruction(press.message)
    await show(press, bot, *await _draft(t, user, rules, callback_data, instruction))


async def save(
    press: CallbackQuery,
    callback_data: RulesButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    rules: UserRules,
    toast: Toast,
) -> None:
    _, settings = await _wanted(user, rules, callback_data, _instruction(press.message))
    await rules.put(user.owner_id, settings, callback_data.channel_id)
    await show(press, bot, *await _saved(t, user, rules, callback_data.channel_id))
    toast.text = views.saved(t)


async def remove(
    press: CallbackQuery,
    callback_data: RulesButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    rules: UserRules,
    toast: Toast,
) -> None:
    if callback_data.channel_id is not None:
        await rules.remove(user.owner_id, callback_data.channel_id)
        toast.text = views.saved(t)
    await show(press, bot, *await _saved(t, user, rules, callback_data.channel_id))


async def try_out(
    press: CallbackQuery,
    callback_data: RulesButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    rules: UserRules,
    rules_trial: RulesTrial,
    toast: Toast,
) -> None:
    toast.text = views.asking(t)
    _, settings = await _wanted(user, rules, callback_data, _instruction(press.message))
    posts = await rules_trial.run(user.owner_id, settings, callback_data.channel_id)
    await show(press, bot, views.tried(t, posts), here=False)


async def channels(
    press: CallbackQuery, callback_data: RuledChannelsButton, bot: Bot, t: Texts, user: CurrentUser, rules: UserRules
) -> None:
    found = await rules.channels(user.owner_id)
    page = min(callback_data.page, max(1, -(-len(found) // PAGE_SIZE)))
    await show(press, bot, views.channels(t, is_empty=not found), keyboards.channels(t, found, page))


async def ask(press: CallbackQuery, callback_data: RulesButton, bot: Bot, t: Texts) -> None:
    address = LINK + quote(callback_data.pack())
    question = views.ask_language if callback_data.action is RulesAction.ASK_LANGUAGE else views.ask_instruction
    text = question(t, address, _instruction(press.message))
    await bot.send_message(chat_of(press), text, reply_markup=ForceReply())


def answered(message: Message, bot: Bot) -> dict[str, RulesButton] | bool:
    """A filter: an answer to a question of ours, with the draft that the question holds."""
    asked = message.reply_to_message
    if asked is None or message.text is None or asked.from_user is None or asked.from_user.id != bot.id:
        return False
    links = [entity.url or "" for entity in asked.entities or [] if entity.type == MessageEntityType.TEXT_LINK]
    packed = next((url.removeprefix(LINK) for url in links if url.startswith(LINK)), None)
    try:
        return False if packed is None else {"draft": RulesButton.unpack(unquote(packed))}
    except (TypeError, ValueError):
        return False


async def answer(message: Message, draft: RulesButton, t: Texts, user: CurrentUser, rules: UserRules) -> None:
    given, instruction = message.text or "", _instruction(message.reply_to_message)
    if draft.action is RulesAction.ASK_LANGUAGE:
        draft = draft.but(language=checked(RuleSettings(language=given)).language)
    else:
        instruction = checked(RuleSettings(instruction=given)).instruction
    text, markup = await _draft(t, user, rules, draft, instruction)
    await message.answer(text, reply_markup=markup)


async def _saved(
    t: Texts, user: CurrentUser, rules: UserRules, channel_id: int | None
) -> tuple[Html, InlineKeyboardMarkup]:
    found = await rules.get(user.owner_id, channel_id)
    return await _draft(t, user, rules, RulesButton.of(channel_id, found.settings), found.settings.instruction)


async def _draft(
    t: Texts, user: CurrentUser, rules: UserRules, draft: RulesButton, instruction: str | None
) -> tuple[Html, InlineKeyboardMarkup]:
    found, settings = await _wanted(user, rules, draft, instruction)
    would_be = await rules.would_be(user.owner_id, settings, draft.channel_id)
    markup = keyboards.rules(t, draft, would_be, has_instruction=bool(instruction))
    return views.rules(t, found, settings, would_be), markup


async def _wanted(
    user: CurrentUser, rules: UserRules, draft: RulesButton, instruction: str | None
) -> tuple[RulesInForce, RuleSettings]:
    """What is saved, and the draft."""
    found = await rules.get(user.owner_id, draft.channel_id)
    # A message shows no difference between no instruction in a channel, which the API can set, and the user's own.
    unshown = "" if found.settings.instruction == "" else None
    return found, draft.settings(instruction or unshown)


def _is_readable(message: object) -> bool:
    return isinstance(message, Message)


def _instruction(message: object) -> str | None:
    """The draft's instruction, as a message shows it."""
    if not isinstance(message, Message):
        return None
    codes = [entity for entity in message.entities or [] if entity.type == MessageEntityType.CODE]
    return codes[0].extract_from(message.text or "") if codes else None


def router() -> Router:
    made = Router(name="rules")
    for observer in (made.message, made.callback_query):
        observer.middleware(tell_problem)
    made.message.register(command, Command("rules", ignore_case=True))
    made.message.register(answer, answered)
    # The draft's instruction cannot be read any more: begin anew.
    made.callback_query.register(open_saved, RulesButton.filter(), ~F.message.func(_is_readable))
    actions: dict[RulesAction, Callable[..., Awaitable[None]]] = {
        RulesAction.OPEN: open_saved,
        RulesAction.DRAFT: change,
        RulesAction.CLEAR_INSTRUCTION: change,
        RulesAction.SAVE: save,
        RulesAction.REMOVE: remove,
        RulesAction.TRY: try_out,
        RulesAction.ASK_LANGUAGE: ask,
        RulesAction.ASK_INSTRUCTION: ask,
    }
    for action, handler in actions.items():
        made.callback_query.register(handler, RulesButton.filter(F.action == action))
    made.callback_query.register(channels, RuledChannelsButton.filter())
    return made
