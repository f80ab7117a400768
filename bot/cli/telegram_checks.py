"""What Telegram says of the bot, compared with the settings and the channels. Imports no aiogram."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp

from bot.errors import StartError
from bot.runtime.database_startup import address, connect, reach
from bot.settings import Settings
from storage.channels import hashtags
from storage.migration.inspection import is_current
from storage.schema.tables import ChannelOwner

TIMEOUT = aiohttp.ClientTimeout(total=10)
#: Channels that are asked for, and named.
MOST_CHANNELS = 30

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    level: Literal["ok", "warn"]
    name: str
    text: str


class BotApi:
    """Calls of the Bot API. An error's text never holds the URL, and so the token."""

    def __init__(self, settings: Settings, session: aiohttp.ClientSession) -> None:
        token = settings.bot_token.get_secret_value() if settings.bot_token else ""
        self._url = f"{settings.telegram_api_url or 'https://api.telegram.org'}/bot{token}"
        self._session = session

    async def call(self, method: str, **params: int) -> Json | str:
        """The result, or Telegram's words why there is none."""
        try:
            async with self._session.post(f"{self._url}/{method}", json=params, allow_redirects=False) as response:
                body = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return f"no answer ({type(error).__name__})"
        if isinstance(body, dict) and isinstance(body.get("result"), dict):
            return dict(body["result"])
        return str(body.get("description"))[:200] if isinstance(body, dict) else "an odd answer"


async def telegram_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Only for a token that Telegram accepts."""
    async with aiohttp.ClientSession(timeout=TIMEOUT, trust_env=True) as session:
        api = BotApi(settings, session)
        me = await api.call("getMe")
        if isinstance(me, dict):
            yield bot_settings(me)
        hook = await api.call("getWebhookInfo")
        if isinstance(hook, dict):
            yield updates(hook, settings.webhook_url)
        channels = await _channels(settings)
        if channels:
            yield await _rights(api, me["id"] if isinstance(me, dict) else 0, channels)


def bot_settings(me: Json) -> Finding:
    """PURE. Privacy mode concerns groups only: a channel's posts come to its administrators in any case."""
    found = []
    if me.get("can_read_all_group_messages"):
        found.append("privacy mode is off, so all that groups say comes here for nothing: /setprivacy at BotFather")
    if me.get("supports_inline_queries"):
        found.append("inline mode is on, but Metka has no inline answers: /setinline at BotFather")
    if me.get("can_join_groups") is False:
        found.append("adding to groups and channels is off, so it cannot be added to channels: /setjoingroups")
    if found:
        return Finding("warn", "bot settings", "; ".join(found))
    return Finding("ok", "bot settings", "privacy mode is on (channels' posts come all the same), inline mode is off")


def updates(hook: Json, wanted: str | None) -> Finding:
    """PURE: how updates come, and whether a webhook and polling are in each other's way."""
    url = str(hook.get("url") or "")
    waiting, reason = hook.get("pending_update_count") or 0, str(hook.get("last_error_message") or "")[:200]
    if wanted is None:
        if not url:
            return Finding("ok", "updates", "by polling")
        return Finding(
            "warn",
            "updates",
            f"a webhook at {_host(url)} is set, but WEBHOOK_URL is empty: the bot removes it at its start and polls. "
            "If another program uses this BOT_TOKEN, stop it: they would take each other's updates",
        )
    if url and url != wanted:
        return Finding(
            "warn", "updates", f"the webhook is at {_host(url)}: another program uses this BOT_TOKEN, stop it"
        )
    if not url:
        return Finding("ok", "updates", "by webhook, which the bot sets at its start")
    if waiting and reason:
        return Finding("warn", "updates", f"Telegram cannot deliver {waiting} to WEBHOOK_URL: {reason}")
    return Finding("ok", "updates", "by webhook")


def _host(url: str) -> str:
    """Without the path, which may be a secret."""
    return urlsplit(url).hostname or "another address"


async def _channels(settings: Settings) -> Sequence[ChannelOwner]:
    """Empty if the database cannot be used: another check says so."""
    try:
        database = connect(address(settings))
    except StartError:
        return []
    try:
        await reach(database)
        if not await is_current(database):
            return []
        async with database.read() as session:
            return await hashtags.owned_channels(session, MOST_CHANNELS)
    except StartError:
        return []
    finally:
        await database.close()


async def _rights(api: BotApi, bot_id: int, channels: Sequence[ChannelOwner]) -> Finding:
    missing = []
    for owner in channels:
        member = await api.call("getChatMember", chat_id=owner.telegram_channel_id, user_id=bot_id)
        if (lack := lacking(member, writes=owner.hashtags_since is not None)) is not None:
            missing.append(f"{owner.title or owner.telegram_channel_id}: {lack}")
    if missing:
        return Finding("warn", "channels", "; ".join(missing))
    return Finding("ok", "channels", f"{len(channels)} with all rights that are needed")


def lacking(member: Json | str, *, writes: bool) -> str | None:
    """PURE: what the bot lacks in a channel. `writes`: tags are written there as hashtags."""
    if isinstance(member, str):
        return f"Telegram does not say ({member})"
    if member.get("status") not in {"administrator", "creator"}:
        return "the bot is no administrator any more, so no posts come"
    if writes and not member.get("can_edit_messages"):
        return "without the right to edit messages, which hashtags need"
    return None
