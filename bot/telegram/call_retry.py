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
#: The same call may succeed later.
TRANSIENT = (TelegramNetworkError, TelegramServerError, TelegramRetryAfter)


async def retry_call(
    what: str,
    call: Callable[[], Awaitable[Any]],
    *,
    on: tuple[type[AiogramError], ...] = (AiogramError,),
    failed: Callable[[AiogramError], None] = lambda _: None,
) -> None:
    """Repeat `call` while it raises one of `on`. `failed` is called with each of these errors."""
    pause = 0.0
    while True:
        try:
            await call()
        except on as error:
            pause = next_pause(pause, error)
            failed(error)
            # bot.telegram.health reports a refused token once.
            if not is_token_refusal(error):
                log.warning("telegram_unavailable", what=what, error=error_name(error), seconds=pause)
            await asyncio.sleep(pause)
        else:
            return


def is_token_refusal(error: Exception) -> bool:
    """Whether Telegram knows no bot with this token: 401, or 404 if the token is malformed."""
    return isinstance(error, TelegramUnauthorizedError | TelegramNotFound)


def next_pause(pause: float, error: Exception) -> float:
    """Seconds before the next try: doubled from FIRST_PAUSE to LONGEST_PAUSE, or what Telegram asks for."""
    if isinstance(error, TelegramRetryAfter):
        return float(error.retry_after)
    return min(LONGEST_PAUSE, max(FIRST_PAUSE, pause * 2))


def error_name(error: Exception) -> str:
    """The class of the error and of its cause. Never the text: it may hold the URL, and so the token."""
    cause = error.__cause__
    return type(error).__name__ if cause is None else f"{type(error).__name__} ({type(cause).__name__})"
