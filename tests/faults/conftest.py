"""What the fault suite's tests ask for."""

from __future__ import annotations

import pytest

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database
from tests.faults.world import World


@pytest.fixture
def world(migrated_url: str, database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> World:
    """A migrated database of each kind, a Telegram with an administrator and a user, and a provider."""
    return World(migrated_url, database, telegram, provider)
