"""Who talks to whom in the tests of the Bot API stand-in."""

from __future__ import annotations

from aiogram import Bot
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer

from sandbox.telegram import TelegramSandbox

ANNA = 1001
CHANNEL = -1001234567890


def client(telegram: TelegramSandbox, token: str) -> Bot:
    """aiogram's own client of the stand-in."""
    session = AiohttpSession(api=TelegramAPIServer.from_base(telegram.url))
    return Bot(token, session=session, default=DefaultBotProperties(parse_mode="HTML"))
