"""schemathesis against /openapi.json: whatever it sends is answered as the document says."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from storage.db.engine import Database
from tests.web.running import API_TOKEN, BEARER, serving

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize(
    ("backend", "api_token", "header"),
    [
        pytest.param("postgresql", API_TOKEN, BEARER["Authorization"], marks=pytest.mark.slow),
        ("sqlite", API_TOKEN, None),
        pytest.param("sqlite", None, None, marks=pytest.mark.slow),
    ],
    ids=["authenticated", "stranger", "loopback"],
)
async def test_no_check_finds_anything(
    database: Database, tmp_path: Path, api_token: str | None, header: str | None
) -> None:
    """All checks of schemathesis, with a token, without one, and where none is needed."""
    given = ["--header", f"Authorization: {header}"] if header else []
    async with serving(database, api_token=api_token) as web:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{web.url}/openapi.json",
            *("--checks", "all", "--seed", "1", "--max-examples", "25", "--no-color"),
            *given,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-10_000:]
