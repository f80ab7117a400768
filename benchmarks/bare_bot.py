"""The chat's floor: aiogram with one handler that says the same to everybody.

python -m benchmarks.bare_bot URL TOKEN
"""

from __future__ import annotations

import asyncio
import sys

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import Message


async def answer(message: Message) -> None:
    """As long as an answer to /stats."""
    await message.answer("Постов: 5\nС тегами: 4\nОжидают: 1\nПовторяются: 0\nНе удалось: 0\nПропущено: 0")


async def main(url: str, token: str) -> None:
    """Poll until SIGTERM."""
    dispatcher = Dispatcher()
    dispatcher.message.register(answer)
    async with Bot(token, session=AiohttpSession(api=TelegramAPIServer.from_base(url))) as bot:
        await dispatcher.start_polling(bot)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
