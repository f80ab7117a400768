"""Commands that run beside the bot or before it."""

from __future__ import annotations

import click

from bot.errors import StartError
from bot.opening import reach, settings_or_stop
from services.clock import utc_now
from storage.database import Database, parse_url
from storage.migrate import MigrationError, describe, migrate


async def run_migrate() -> int:
    """Migrate and print what was done, in numbers. Returns the exit status."""
    settings = settings_or_stop()
    database = Database(parse_url(settings.database_url.get_secret_value()))
    try:
        await reach(database)
        report = await migrate(database, now=utc_now())
    except MigrationError as error:
        raise StartError(str(error)) from None
    finally:
        await database.close()
    for line in describe(report):
        click.echo(line)
    return 0
