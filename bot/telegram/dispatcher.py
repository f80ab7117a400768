import ssl
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from aiogram import Bot, Dispatcher, Router
from aiogram.client.default import DefaultBotProperties
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.types import LinkPreviewOptions
from pydantic import SecretStr

from bot.i18n import I18n
from bot.telegram.call_retry import retry_call
from bot.telegram.error_handler import on_error
from bot.telegram.middlewares import AnswerPresses, FindUser, MarkAnswers, MeasureUpdates, RepeatUntilStored, Throttle
from bot.telegram.rate_limit import MessageRateLimit
from bot.telegram.session import BotApiSession
from bot.views import help as help_views
from services.accounts.people import LANGUAGES, People
from services.proxies import DIRECT, Proxies


def make_bot(
    token: SecretStr | str,
    api_url: str | None = None,
    proxies: Proxies = DIRECT,
) -> Bot:
    plain = token.get_secret_value() if isinstance(token, SecretStr) else token
    api = TelegramAPIServer.from_base(api_url) if api_url else PRODUCTION
    session = BotApiSession(api, proxies)
    # aiogram trusts certifi's list alone: the system's and SSL_CERT_FILE are trusted, too.
    if isinstance(context := session._connector_init.get("ssl"), ssl.SSLContext):
        context.load_default_certs()
    session.middleware(MessageRateLimit())
    defaults = DefaultBotProperties(parse_mode="HTML", link_preview=LinkPreviewOptions(is_disabled=True))
    return Bot(plain, session=session, default=defaults)


def make_dispatcher(
    routers: Sequence[Router],
    *,
    people: People,
    i18n: I18n,
    on_update: Callable[[str, str, float], None] | None = None,
    press_answered_within: float = 1.0,
    **dependencies: Any,
) -> Dispatcher:
    """Handlers get `people`, `i18n` and `dependencies` by name.

    `on_update`: an update's type, result and seconds. `press_answered_within`: seconds after which a press is answered
    without its handler's text.
    """
    dispatcher = Dispatcher(disable_fsm=True, people=people, i18n=i18n, **dependencies)
    if on_update is not None:
        dispatcher.update.outer_middleware(MeasureUpdates(on_update))
    dispatcher.update.outer_middleware(MarkAnswers())
    throttle, find_user = Throttle(i18n), FindUser(people, i18n)
    dispatcher.callback_query.outer_middleware(AnswerPresses(press_answered_within))
    for observer in (dispatcher.message, dispatcher.callback_query):
        observer.outer_middleware(throttle)
        observer.outer_middleware(find_user)
    for observer in (dispatcher.channel_post, dispatcher.edited_channel_post, dispatcher.my_chat_member):
        observer.outer_middleware(RepeatUntilStored())
    # An inline query comes with each letter that is typed.
    dispatcher.inline_query.outer_middleware(throttle)
    dispatcher.errors.register(on_error)
    dispatcher.include_routers(*routers)
    return dispatcher


async def publish_commands(bot: Bot, i18n: I18n) -> None:
    for code in (None, *LANGUAGES):
        commands = help_views.commands(i18n.texts(code))
        await retry_call("set_commands", partial(bot.set_my_commands, commands, language_code=code))
