"""The Compose files and the Dockerfile, as text: limits, pins, and who gets which secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.settings import Settings

ROOT = Path(__file__).parents[1]
FILES = ("docker-compose.yml", "docker-compose.sqlite.yml")
PINNED = re.compile(r"[a-z]+:[0-9.]+-[a-z-]+@sha256:[0-9a-f]{64}")
#: The secrets of a worker: the models' key (from .env) and the database's password.
WORKERS = {"OPENROUTER_API_KEY", "DATABASE_URL"}

SERVICES = [
    pytest.param(service, id=f"{file} {name}")
    for file in FILES
    for name, service in yaml.safe_load((ROOT / file).read_text())["services"].items()
]


def services(file: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / file).read_text())["services"]
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_each_container_is_limited_and_hardened(service: dict[str, Any]) -> None:
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service["user"].startswith(("0", "root"))
    assert all("size=" in mount for mount in service["tmpfs"])
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_database_is_reached_by_the_other_containers_only() -> None:
    assert "ports" not in services("docker-compose.yml")["db"]


def test_images_of_others_are_pinned_by_digest() -> None:
    assert PINNED.fullmatch(services("docker-compose.yml")["db"]["image"])
    dockerfile = (ROOT / "Dockerfile").read_text()
    (pinned,) = re.findall(r"^ARG PYTHON=(.+)$", dockerfile, re.MULTILINE)
    assert PINNED.fullmatch(pinned)
    assert {line.split()[1] for line in dockerfile.splitlines() if line.startswith("FROM ")} == {"${PYTHON}"}


def test_a_worker_gets_no_secret_that_it_does_not_need() -> None:
    """All of .env reaches it but what is emptied here."""
    worker = services("docker-compose.yml")["worker"]["environment"]
    secrets = {
        name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
    } - WORKERS
    # A proxy's address may hold a password; a worker needs the proxy.
    needless = {name for name in secrets if not name.endswith("_PROXY")} | {"POSTGRES_PASSWORD"}
    assert {name for name in needless if worker.get(name) == ""} == needless
