"""The fixtures of all tests, from the modules that hold them, and how much of everything is tried."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

pytest_plugins = [
    f"tests.{name}"
    for name in ("database_fixtures", "sandbox_fixtures")
    if Path(__file__).with_name(f"{name}.py").exists()
]

# structlog's default draws every local variable of a traceback, which takes seconds for an update of Telegram's.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

# How fast an example runs is the machine's load, not the code's behaviour.
settings.register_profile("quick", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", settings.get_profile("quick"), max_examples=100)
settings.register_profile("long", settings.get_profile("quick"), max_examples=1000)
settings.load_profile("quick")

#: Rooms of services whose SQL is tested on both databases in tests/storage.
USE_CASES = ("accounts", "following", "hashtags", "ingest", "library", "notifications", "sources")
#: Folders of tests for which one database is like the other.
EITHER_DATABASE = (
    "bot",
    "web",
    "end_to_end",
    "sandbox",
    "services/tagging/test_reuse",
    *(f"services/{room}" for room in USE_CASES),
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests of EITHER_DATABASE as slow on PostgreSQL when they also run on SQLite."""
    functions = [item for item in items if isinstance(item, pytest.Function)]
    on_sqlite = {item.function for item in functions if _backend(item) == "sqlite"}
    for item in functions:
        folder = item.path.relative_to(Path(__file__).parent).as_posix()
        if folder.startswith(EITHER_DATABASE) and _backend(item) == "postgresql" and item.function in on_sqlite:
            item.add_marker(pytest.mark.slow)


def _backend(item: pytest.Function) -> object:
    return item.callspec.params.get("backend") if hasattr(item, "callspec") else None
