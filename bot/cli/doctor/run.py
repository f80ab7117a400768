import click

from bot.cli.doctor.check import Check, CheckFailed, CheckWarning
from bot.cli.doctor.configuration import check_administrators, check_names
from bot.cli.doctor.database import check_database
from bot.cli.doctor.provider import check_provider
from bot.cli.doctor.telegram import check_telegram
from bot.cli.doctor.telegram_settings import check_bot_settings, check_channels, check_updates
from bot.errors import StartError
from bot.runtime.database_startup import settings_or_stop
from bot.settings import Settings

#: In the order in which they are shown.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("settings", check_names),
    ("administrators", check_administrators),
    ("database", check_database),
    ("telegram", check_telegram),
    ("bot settings", check_bot_settings),
    ("updates", check_updates),
    ("channels", check_channels),
    ("provider", check_provider),
)
#: Only for a token that Telegram accepts.
OF_THE_BOT = {"bot settings", "updates", "channels"}


async def run_doctor() -> int:
    """Print a line for each check. Returns 1 if one failed. Sends no request to a model."""
    settings = settings_or_stop()
    failed: set[str] = set()
    for name, check in CHECKS:
        if name in OF_THE_BOT and "telegram" in failed:
            continue
        if not await _passes(name, check, settings):
            failed.add(name)
    return 1 if failed else 0


async def _passes(name: str, check: Check, settings: Settings) -> bool:
    try:
        words = _one_line(await check(settings))
        click.echo(f"ok    {name}: {words}" if words else f"ok    {name}")
    except CheckWarning as warning:
        click.echo(f"warn  {name}: {_one_line(str(warning))}")
    except (CheckFailed, StartError) as error:
        click.echo(f"FAIL  {name}: {_one_line(str(error))}")
        return False
    except Exception as error:  # a check that crashes must not hide the others
        # The class only: the text may name an address with its secret.
        click.echo(f"FAIL  {name}: cannot be checked ({type(error).__name__})")
        return False
    return True


def _one_line(text: str) -> str:
    """What servers say may hold line breaks, and signs that a terminal obeys."""
    return "".join(char if char.isprintable() else " " for char in text)
