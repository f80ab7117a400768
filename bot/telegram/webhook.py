import asyncio

import structlog
from aiogram import Bot, Dispatcher
from aiogram.exceptions import ClientDecodeError, TelegramBadRequest, TelegramNotFound
from aiogram.types import WebhookInfo

from bot.settings import Settings
from bot.telegram.call_retry import retry_call
from bot.telegram.health import TelegramHealth

log = structlog.get_logger(__name__)

#: Only getWebhookInfo shows a revoked token, an address set by another program, and failed deliveries.
LOOK_SECONDS = 60.0


class Webhook:
    """Keeps Telegram sending updates to WEBHOOK_URL."""

    def __init__(
        self,
        bot: Bot,
        dispatcher: Dispatcher,
        settings: Settings,
        health: TelegramHealth,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._bot = bot
        self._allowed = dispatcher.resolve_used_update_types()
        self._url = settings.webhook_url or ""
        self._secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else None
        self._health = health
        self._look_seconds = look_seconds
        self._last_error: int | None = None

    async def run(self) -> None:
        await retry_call("set_webhook", self._set, failed=self._health.failed)
        while True:
            self._health.ok()
            await asyncio.sleep(self._look_seconds)
            await retry_call("get_webhook_info", self._look, failed=self._health.failed)

    async def _set(self) -> None:
        try:
            await self._bot.set_webhook(self._url, secret_token=self._secret, allowed_updates=self._allowed)
        except TelegramBadRequest as error:
            # Telegram's text says what is wrong with the address, and holds no secret.
            log.warning("webhook_refused", reason=error.message, todo="correct WEBHOOK_URL and start again")
            raise
        log.info("webhook_set")

    async def _look(self) -> None:
        try:
            info = await self._bot.get_webhook_info()
        except (TelegramNotFound, TelegramBadRequest, ClientDecodeError):
            # A Bot API server without getWebhookInfo.
            return
        if info.url != self._url:
            log.warning("webhook_changed", todo="another program uses the same BOT_TOKEN: stop it")
            await self._set()
        self._report(info)

    def _report(self, info: WebhookInfo) -> None:
        """Log each failed delivery once, while an update waits for it."""
        at = int(info.last_error_date.timestamp()) if info.last_error_date else None
        if info.pending_update_count and at is not None and at != self._last_error:
            log.warning("webhook_failing", reason=info.last_error_message, waiting=info.pending_update_count)
        self._last_error = at
