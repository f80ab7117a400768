"""A worker process that serves its own counters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database
from tests.bot.monitoring.test_metrics import sample, samples
from tests.end_to_end.process import environment, run, running_bot
from tests.storage.rows import add_posts, add_user

pytestmark = pytest.mark.timeout(240)


def logged(log: str, event: str) -> dict[str, Any]:
    """The first line of that event."""
    lines = (json.loads(line) for line in log.splitlines() if line.startswith("{"))
    return next(line for line in lines if line["event"] == event)


async def test_a_worker_shows_what_it_does(database: Database, provider: ProviderSandbox) -> None:
    """Its own counters at the address it was given, until it stops cleanly; nothing of the installation."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 5)
    url = database.url.set(drivername="sqlite" if database.is_sqlite else "postgresql")
    settings = environment(url.render_as_string(hide_password=False), TelegramSandbox(), provider)
    async with running_bot(settings, "worker", "--metrics", "127.0.0.1:0") as worker:
        await worker.logs("batch_done")
        port = logged(worker.log, "metrics_ready")["port"]
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{port}/metrics?name[]=metka_attempts_total") as response,
        ):
            assert response.status == 200
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as response:
            found = samples(await response.read())
        assert await worker.stop() == 0
    assert found[sample("metka_attempts_total", outcome="tagged", model="one/model")] == 5
    assert found[sample("metka_request_seconds_count", model="one/model")] == 5
    assert found[sample("process_start_time_seconds")] > 0
    assert not any(name in {"metka_posts", "metka_database_up"} for name, _ in found)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_a_wrong_address_stops_the_start_with_one_line(
    database: Database, provider: ProviderSandbox, tmp_path: Path
) -> None:
    """It names the option and what is allowed."""
    settings = environment(f"sqlite:///{tmp_path / 'metka.db'}", TelegramSandbox(), provider)
    status, output = await run(settings, "worker", "--metrics", "9101")
    assert status == 1
    assert output == "Metka cannot start. --metrics: '9101' is not HOST:PORT, as in 127.0.0.1:9101.\n"
