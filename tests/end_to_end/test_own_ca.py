"""Telegram and the provider behind a CA of one's own."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database, parse_url
from tests.certificates import make_certificate, serve_tls
from tests.end_to_end.process import environment, running_bot
from tests.end_to_end.test_process import fill, until_tagged

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]


async def test_ssl_cert_file_is_trusted(tmp_path: Path, sqlite_template: Path) -> None:
    telegram, provider = TelegramSandbox(), ProviderSandbox()
    certificate = await asyncio.to_thread(make_certificate, tmp_path)
    path = tmp_path / "metka.db"
    shutil.copyfile(sqlite_template, path)
    database = Database(parse_url(f"sqlite:///{path}"))
    async with (
        serve_tls(telegram.make_app(), certificate) as telegram.url,
        serve_tls(provider.make_app(), certificate) as root,
    ):
        provider.url = f"{root}/api/v1"
        await fill(database, 2)
        settings = environment(f"sqlite:///{path}", telegram, provider, SSL_CERT_FILE=str(certificate))
        async with running_bot(settings) as bot:
            await until_tagged(database, 2)
            assert await bot.stop() == 0
            assert "certificate" not in bot.log
    await database.close()
