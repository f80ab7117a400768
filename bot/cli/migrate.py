import click

from bot.cli.stop_signals import stop_signals
from bot.errors import StartError
from bot.runtime.database_startup import address, connect, reach, settings_or_stop
from bot.settings import Settings
from services.background_task import unless_set
from services.clock import utc_now
from storage.migration.migrate import MigrationError, migrate
from storage.migration.report import describe


async def run_migrate() -> int:
    settings = settings_or_stop()
    with stop_signals() as stop:
        if await unless_set(stop.event, _migrate(settings)):
            return 0
    click.echo("Stopped. What was not finished is undone; the same command begins anew.", err=True)
    return stop.status


async def _migrate(settings: Settings) -> None:
    database = connect(address(settings))
    try:
        await reach(database)
        report = await migrate(database, now=utc_now())
    except MigrationError as error:
        raise StartError(str(error)) from None
    finally:
        await database.close()
    for line in describe(report):
        click.echo(line)
