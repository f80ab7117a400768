from collections.abc import Awaitable, Callable

import aiohttp
import click

from bot.cli.telegram_checks import telegram_findings
from bot.errors import StartError
from bot.runtime.database_startup import address, connect, reach, settings_or_stop
from bot.settings import APPOINT, Settings
from storage.migration.inspection import inspect_state, is_current

TIMEOUT = aiohttp.ClientTimeout(total=10)


class CheckFailed(Exception):  # noqa: N818 - a finding, not a fault of the program
    """A check failed. The message says what to do."""


class CheckWarning(Exception):  # noqa: N818 - as above
    """The bot starts, but hardly as intended. The message says what to do."""


async def run_doctor() -> int:
    """Print a line for each check. Returns 1 if one failed. Sends no request to a model."""
    settings = settings_or_stop()
    click.echo("ok    settings")
    checks: tuple[tuple[str, Callable[[Settings], Awaitable[str]]], ...] = (
        ("administrators", _administrators),
        ("database", _database),
        ("telegram", _telegram),
        ("provider", _provider),
    )
    failed = 0
    for name, check in checks:
        try:
            click.echo(f"ok    {name}: {await check(settings)}")
        except CheckWarning as warning:
            click.echo(f"warn  {name}: {warning}")
        except (CheckFailed, StartError) as error:
            failed += 1
            click.echo(f"FAIL  {name}: {error}")
            continue
        if name == "telegram":
            async for found in telegram_findings(settings):
                click.echo(f"{found.level:<6}{found.name}: {found.text}")
    return 1 if failed else 0


async def _administrators(settings: Settings) -> str:
    if not settings.admin_ids:
        raise CheckWarning(f"ADMIN_IDS is empty, so nobody can let you in: {APPOINT}")
    return ", ".join(map(str, settings.admin_ids))


async def _database(settings: Settings) -> str:
    database = connect(address(settings))
    try:
        await reach(database)
        if await is_current(database):
            return "reachable, up to date"
        state = await inspect_state(database)
    finally:
        await database.close()
    return {
        "absent": "reachable, empty: the first start fills it",
        "parser": "a Telegram Channel Parser database: take it over with `python -m bot migrate`",
        "parser_with_columns": "a Telegram Channel Parser database: take it over with `python -m bot migrate`",
    }.get(state, "has to be migrated: run `python -m bot migrate`")


async def _telegram(settings: Settings) -> str:
    if settings.bot_token is None:
        raise CheckFailed("BOT_TOKEN is empty: get one from https://t.me/BotFather and put it into .env")
    base = settings.telegram_api_url or "https://api.telegram.org"
    status, body = await _get(f"{base}/bot{settings.bot_token.get_secret_value()}/getMe", {}, "Telegram")
    if status != 200 or not isinstance(body, dict) or not isinstance(body.get("result"), dict):
        raise CheckFailed("Telegram does not accept BOT_TOKEN: copy it again from BotFather")
    return f"@{body['result'].get('username')}"


async def _provider(settings: Settings) -> str:
    if not settings.tagging_enabled:
        raise CheckFailed("OPENROUTER_API_KEY is empty: tagging is off. Make a key at https://openrouter.ai/keys")
    key = settings.openrouter_api_key.get_secret_value()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    path = "key" if key and settings.is_openrouter else "models"
    status, _ = await _get(f"{settings.openrouter_base_url}/{path}", headers, "The provider")
    if status in {401, 403}:
        raise CheckFailed("the provider does not accept OPENROUTER_API_KEY: copy it again")
    if status >= 500:
        raise CheckFailed(f"the provider answers HTTP {status}: try again later")
    return " → ".join(settings.models)


async def _get(url: str, headers: dict[str, str], who: str) -> tuple[int, object]:
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            try:
                return response.status, await response.json(content_type=None)
            except ValueError:
                return response.status, None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        # Never the error's text: it holds the URL, and so the token.
        raise CheckFailed(f"{who} does not answer ({type(error).__name__}): check the network") from None
