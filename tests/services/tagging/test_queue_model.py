"""Anything that can happen to posts, in any order, against a model of the rules.

`--hypothesis-profile=long` looks much longer, at other sequences each time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.services.tagging.queue_machine import QueueMachine

LONG = settings.get_current_profile_name() == "long"
#: Seconds; what is found is shrunk for up to five minutes.
TIMEOUT = 3600 if LONG else 600


def run(new_database: Callable[[], str], examples: int) -> None:
    machine = type("Machine", (QueueMachine,), {"new_database": staticmethod(new_database)})
    profile = settings(
        max_examples=examples,
        stateful_step_count=60 if LONG else 20,
        deadline=None,
        derandomize=not LONG,
        database=None,
        print_blob=True,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=profile)


@pytest.mark.timeout(TIMEOUT)
def test_anything_in_any_order(sqlite_template: Path, tmp_path: Path) -> None:
    """After every step the rows are what the rules say, and in the end no post is stuck."""
    numbers = count(1)

    def new_database() -> str:
        path = tmp_path / f"{next(numbers)}.db"
        shutil.copyfile(sqlite_template, path)
        return f"sqlite:///{path}"

    run(new_database, 1000 if LONG else 50)


@pytest.mark.timeout(TIMEOUT)
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_anything_in_any_order_on_postgresql(migrated_url: str) -> None:
    """The same on PostgreSQL, a shorter look."""
    run(partial(str, migrated_url), 200 if LONG else 8)
