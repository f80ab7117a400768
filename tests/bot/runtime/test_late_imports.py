"""Nothing is imported before it is needed: each process is as small as its work."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from tests.end_to_end.process import ROOT, environment

TELEGRAM, HTTP = {"aiogram", "apscheduler.schedulers"}, {"fastapi", "starlette", "uvicorn", "h11"}
MIGRATIONS, METRICS, TEXTS = {"alembic", "mako"}, {"prometheus_client"}, {"babel"}
#: Broken answers, imported files; and each dialect is for those who use it.
SELDOM = {"json_repair", "ijson", "sqlite3", "sqlalchemy.dialects.postgresql"}

OPEN = """
from bot.runtime.database_startup import open_database, settings_or_stop
async def main():
    async with open_database(settings_or_stop()):
        pass
asyncio.run(main())
"""


async def imported(program: str, settings: dict[str, str] | None = None) -> set[str]:
    """What a process has imported after the program."""
    shown = f"import asyncio, json, sys\n{program}\nprint(json.dumps(list(sys.modules)))"
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", shown), cwd=ROOT, env=settings, stdout=pipe, stderr=pipe
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return set(json.loads(out))


@pytest.mark.parametrize(
    ("program", "needless"),
    [
        ("import bot.__main__", TELEGRAM | HTTP | MIGRATIONS | METRICS | TEXTS | {"sqlalchemy", "aiohttp", "pydantic"}),
        ("import bot.runtime.worker_process", TELEGRAM | HTTP | MIGRATIONS | METRICS | TEXTS),
        ("import bot.cli.doctor", TELEGRAM | HTTP | MIGRATIONS | METRICS | TEXTS),
        ("import bot.cli.import_file", TELEGRAM | HTTP | MIGRATIONS | METRICS | TEXTS),
        ("import bot.cli.tokens", TELEGRAM | HTTP | MIGRATIONS | METRICS | TEXTS),
        ("import bot.runtime.app", MIGRATIONS | SELDOM),
    ],
)
async def test_a_command_imports_what_it_needs(program: str, needless: set[str]) -> None:
    assert await imported(program) & needless == set()


async def test_a_start_without_a_migration_needs_no_alembic(
    migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """The revision is read, and there is nothing to do."""
    modules = await imported(OPEN, environment(migrated_url, telegram, provider))
    assert "storage.migration.migrate" in modules
    assert modules & (TELEGRAM | HTTP | MIGRATIONS | METRICS | TEXTS) == set()
