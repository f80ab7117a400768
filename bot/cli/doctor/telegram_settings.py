"""Checks of what Telegram says of the bot, beside the settings and the channels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import URL

from bot.cli.doctor.check import CheckFailed, CheckWarning
from bot.cli.doctor.http import get_json
from bot.errors import StartError
from bot.runtime.database_startup import address, connect, reach
from bot.settings import Settings
from storage.channels import hashtags
from storage.migration.inspection import is_current
from storage.schema.tables import ChannelOwner

#: Channels that are asked for, and named.
MOST_CHANNELS = 30

Json = dict[str, Any]


async def call(settings: Settings, method: str) -> Json | str:
    """A method of the Bot API, with its query: the result, or Telegram's words why there is none."""
    token = settings.bot_token.get_secret_value() if settings.bot_token else ""
    url = f"{settings.telegram_api_url or 'https://api.telegram.org'}/bot{token}/{method}"
    body = (await get_json(url, {}, "Telegram", settings.proxies)).body
    if isinstance(body, dict) and isinstance(body.get("result"), dict):
        return dict(body["result"])
    return str(body.get("description"))[:200] if isinstance(body, dict) else "an odd answer"


async def result(settings: Settings, method: str) -> Json:
    found = await call(settings, method)
    if isinstance(found, str):
        raise CheckFailed(f"Telegram does not say ({found})")
    return found


async def check_bot_settings(settings: Settings) -> str:
    return bot_settings(await result(settings, "getMe"))


async def check_updates(settings: Settings) -> str:
    return updates(await result(settings, "getWebhookInfo"), settings.webhook_url)


async def check_channels(settings: Settings) -> str:
    channels = await _channels(settings)
    if not channels:
        return "none yet"
    bot_id = (await result(settings, "getMe")).get("id")
    missing = []
    for owner in channels:
        member = await call(settings, f"getChatMember?chat_id={owner.telegram_channel_id}&user_id={bot_id}")
        if (lack := lacking(member, writes=owner.hashtags_since is not None)) is not None:
            missing.append(f"{owner.title or owner.telegram_channel_id}: {lack}")
    if missing:
        raise CheckWarning("; ".join(missing))
    return f"{len(channels)} with all rights that are needed"


def bot_settings(me: Json) -> str:
    """PURE. Raises CheckWarning. Privacy mode concerns groups only: administrators get a channel's posts anyway."""
    found = []
    if me.get("can_read_all_group_messages"):
        found.append("privacy mode is off, so all that groups say comes here for nothing: /setprivacy at BotFather")
    if me.get("can_join_groups") is False:
        found.append("adding to groups and channels is off, so it cannot be added to channels: /setjoingroups")
    if found:
        raise CheckWarning("; ".join(found))
    inline = "inline mode is on"
    if not me.get("supports_inline_queries"):
        inline = "inline mode is off (/setinline at BotFather lets people search by @name in any chat)"
    return f"privacy mode is on (channels' posts come all the same), {inline}"


def updates(hook: Json, wanted: str | None) -> str:
    """PURE: how updates come. Raises CheckWarning if a webhook and polling are in each other's way."""
    url = str(hook.get("url") or "")
    waiting, reason = hook.get("pending_update_count") or 0, str(hook.get("last_error_message") or "")[:200]
    if wanted is None:
        if not url:
            return "by polling"
        raise CheckWarning(
            f"a webhook at {_host(url)} is set, but WEBHOOK_URL is empty: the bot removes it at its start and polls. "
            "If another program uses this BOT_TOKEN, stop it: they would take each other's updates"
        )
    if url and url != wanted:
        raise CheckWarning(f"the webhook is at {_host(url)}: another program uses this BOT_TOKEN, stop it")
    if not url:
        return "by webhook, which the bot sets at its start"
    if waiting and reason:
        raise CheckWarning(f"Telegram cannot deliver {waiting} to WEBHOOK_URL: {reason}")
    return "by webhook"


def _host(url: str) -> str:
    """Without the path, which may be a secret."""
    return urlsplit(url).hostname or "another address"


async def _channels(settings: Settings) -> Sequence[ChannelOwner]:
    """Empty if the database cannot be used: another check says so."""
    try:
        url = address(settings)
        if not _is_made(url):
            return []
        database = connect(url)
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


def _is_made(url: URL) -> bool:
    """Opening an SQLite file that is not there would make it."""
    return url.get_backend_name() != "sqlite" or Path(str(url.database)).exists()


def lacking(member: Json | str, *, writes: bool) -> str | None:
    """PURE: what the bot lacks in a channel. `writes`: tags are written there as hashtags."""
    if isinstance(member, str):
        return f"Telegram does not say ({member})"
    if member.get("status") not in {"administrator", "creator"}:
        return "the bot is no administrator any more, so no posts come"
    if writes and not member.get("can_edit_messages"):
        return "without the right to edit messages, which hashtags need"
    return None
