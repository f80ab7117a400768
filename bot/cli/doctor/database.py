"""Checks of the database."""

from pathlib import Path
from tempfile import TemporaryFile

from bot.cli.doctor.check import CheckFailed, CheckWarning
from bot.runtime.database_startup import BEHIND_POOLER, address, connect, reach
from bot.settings import Settings
from storage.migration.inspection import inspect_state, is_current


async def check_database(settings: Settings) -> str:
    url = address(settings)
    if url.get_backend_name() == "sqlite":
        _check_file(Path(str(url.database)))
    database = connect(url)
    try:
        await reach(database)
        if database.is_behind_pooler:
            raise CheckWarning(f"reachable through a pooler of transactions: {BEHIND_POOLER}")
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


def _check_file(path: Path) -> None:
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    if not path.exists():
        try:
            with TemporaryFile(dir=folder):
                pass
        except OSError:
            raise CheckFailed(
                f"{path.absolute()} cannot be made: {folder} cannot be written to. Check DATABASE_URL"
            ) from None
        # Opening it would make it.
        raise CheckWarning(f"there is no file {path.absolute()} yet: the first start makes it. Is the path right?")
