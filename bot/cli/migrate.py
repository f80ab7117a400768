import click

from bot.errors import StartError
from bot.runtime.database_startup import address, connect, reach, settings_or_stop
from services.clock import utc_now
from storage.migration.migrate import MigrationError, migrate
from storage.migration.report import describe


async def run_migrate() -> int:
    database = connect(address(settings_or_stop()))
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
