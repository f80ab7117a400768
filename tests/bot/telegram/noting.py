"""Handlers that note what they are given."""

from __future__ import annotations

import asyncio

from aiogram.types import Message


class Handlers:
    """What is done with messages: noted, and for those that begin with 'slow' only after `release`."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.done: list[str] = []
        self._released = asyncio.Event()

    def release(self) -> None:
        self._released.set()

    async def handle(self, said: Message) -> None:
        text = said.text or ""
        self.begun.append(text)
        if text.startswith("slow"):
            await self._released.wait()
        if text.startswith("broken"):
            raise RuntimeError("broken")
        self.done.append(text)
