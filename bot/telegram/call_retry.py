"""Calls to Telegram that are made again until they are through."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiogram.exceptions import (
    AiogramError,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)

log = structlog.get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
#: What says nothing against the call itself: it may be through a little later.
PASSING = (TelegramNetworkError, TelegramServerError, TelegramRetryAfter)


async def insist(
    what: str,
    call: Callable[[], Awaitable[Any]],
    *,
    on: tuple[type[AiogramError], ...] = (AiogramError,),
    failed: Callable[[AiogramError], None] = lambda _: None,
) -> None:
    """Call until it succeeds, or fails otherwise than by one of `on`; `failed` is called with each of these."""
    pause = 0.0
    while True:
        try:
            await call()
        except on as error:
            pause = next_pause(pause, error)
            failed(error)
            # Said once, in words, by `bot.telegram.health`, whatever else is tried meanwhile.
            if not is_token_refusal(error):
                log.warning("telegram_unavailable", what=what, error=name_of(error), seconds=pause)
            await asyncio.sleep(pause)
        else:
            return


def is_token_refusal(error: Exception) -> bool:
    """Whether Telegram knows no bot with this token: 401, or 404 where the token is malformed."""
    return isinstance(error, TelegramUnauthorizedError | TelegramNotFound)


def next_pause(pause: float, error: Exception) -> float:
    """Doubling from 1 to 30 s, or as long as Telegram says."""
    if isinstance(error, TelegramRetryAfter):
        return float(error.retry_after)
    return min(LONGEST_PAUSE, max(FIRST_PAUSE, pause * 2))


def name_of(error: Exception) -> str:
    """The error's class and its cause's: never its text, which may hold the address with the token."""
    cause = error.__cause__
    return type(error).__name__ if cause is None else f"{type(error).__name__} ({type(cause).__name__})"
