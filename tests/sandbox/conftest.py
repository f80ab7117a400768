"""A bot on the Bot API stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiogram import Bot

from sandbox.telegram import TelegramSandbox
from tests.sandbox.acting import ANNA, client


@pytest.fixture
async def bot(telegram: TelegramSandbox) -> AsyncIterator[Bot]:
    """The bot, to whom Anna has written."""
    telegram.add_user(ANNA, "Anna", "ru", started=True)
    async with client(telegram, telegram.token) as made:
        yield made
