"""Telling Telegram where the webhook is."""

from __future__ import annotations

import structlog
from aiogram import Bot, Dispatcher
from aiogram.exceptions import TelegramBadRequest

from bot.health import TelegramHealth
from bot.insisting import insist
from bot.settings import Settings

log = structlog.get_logger(__name__)


async def set_webhook(bot: Bot, dispatcher: Dispatcher, settings: Settings, health: TelegramHealth) -> None:
    """Let Telegram send updates to WEBHOOK_URL; tried until it has agreed. What waits at Telegram is kept."""
    secret = settings.webhook_secret
    allowed = dispatcher.resolve_used_update_types()

    async def call() -> None:
        try:
            await bot.set_webhook(
                settings.webhook_url or "",
                secret_token=secret.get_secret_value() if secret else None,
                allowed_updates=allowed,
            )
        except TelegramBadRequest as error:
            # Telegram's own words say what is wrong with the address; there is nothing else in them.
            log.warning("webhook_refused", reason=error.message, todo="correct WEBHOOK_URL and start again")
            raise

    await insist("set_webhook", call, failed=health.failed)
    health.ok()
    log.info("webhook_set")
