"""Updates for the bot: a queue with long polling, and delivery to a webhook."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import aiohttp

from sandbox.telegram.changes import Changes
from sandbox.telegram.errors import ApiError

Update = dict[str, Any]
# Update types that Telegram sends only if allowed_updates names them.
SPECIAL = {"chat_member", "message_reaction", "message_reaction_count"}
#: First and longest pause between tries to deliver an update; Telegram's are longer.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
MOST_CONNECTIONS = 40


@dataclass
class WebhookTarget:
    """The webhook; without a URL there is none."""

    url: str = ""
    secret: str = ""
    #: Only reported: one connection is used, so that updates arrive in order.
    max_connections: int = MOST_CONNECTIONS
    last_error: str | None = None
    last_error_date: int | None = None


class UpdateQueue:
    """Unconfirmed updates, in order."""

    def __init__(self) -> None:
        self.pending: list[Update] = []
        self.webhook = WebhookTarget()
        self.allowed: list[str] | None = None
        self._next_id = 1
        self._changes = Changes()
        self._poll: asyncio.Future[None] | None = None

    def push(self, update: Update, *, filtered: bool = True) -> int:
        """Queue an update under the next number, unless `filtered` and its type is not allowed."""
        number = self._next_id
        self._next_id += 1
        if not filtered or all(self._wanted(kind) for kind in update):
            self.pending.append({"update_id": number, **update})
            self._changes.touch()
        return number

    def _wanted(self, kind: str) -> bool:
        return kind in self.allowed if self.allowed else kind not in SPECIAL

    def clear(self) -> None:
        """Drop unconfirmed updates (drop_pending_updates)."""
        self.pending.clear()

    def confirm(self, offset: int) -> None:
        """Drop updates before `offset`; a negative offset keeps that many from the end."""
        if offset < 0:
            self.pending = self.pending[offset:]
        elif offset > 0:
            self.pending = [u for u in self.pending if u["update_id"] >= offset]
        self._changes.touch()

    async def poll(self, offset: int, limit: int, seconds: float) -> list[Update]:
        """getUpdates: waits for an update; a later poll ends an earlier one with 409."""
        if self.webhook.url:
            raise _conflict(
                "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
            )
        if self._poll is not None and not self._poll.done():
            self._poll.set_exception(
                _conflict("terminated by other getUpdates request; make sure that only one bot instance is running")
            )
        self.confirm(offset)
        self._poll = mine = asyncio.get_running_loop().create_future()
        try:
            return await self._await_updates(mine, limit, seconds)
        finally:
            if not mine.cancel() and not mine.cancelled():
                # The client has disconnected: mark the 409 as seen.
                mine.exception()

    async def _await_updates(self, mine: asyncio.Future[None], limit: int, seconds: float) -> list[Update]:
        waiting: asyncio.Future[Any] = asyncio.ensure_future(
            self._changes.wait_for(lambda: self.pending, max(seconds, 0.001))
        )
        try:
            await asyncio.wait({waiting, mine}, return_when=asyncio.FIRST_COMPLETED)
            if mine.done():
                mine.result()
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        return self.pending[:limit]

    async def deliver(self) -> None:
        """Send updates to the webhook one after another, for ever; a refused update is sent again."""
        pause = 0.0
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            while True:
                await self._changes.wait_for(lambda: self.pending and self.webhook.url, 1e9)
                hook, update = self.webhook, self.pending[0]
                if await self._delivered(http, hook, update):
                    self.confirm(update["update_id"] + 1)
                    pause = 0.0
                else:
                    pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, pause * 2))
                    await self._pause_unless_changed(hook, pause)

    async def _pause_unless_changed(self, hook: WebhookTarget, seconds: float) -> None:
        try:
            await self._changes.wait_for(lambda: self.webhook is not hook, seconds)
        except TimeoutError:
            pass

    async def _delivered(self, http: aiohttp.ClientSession, hook: WebhookTarget, update: Update) -> bool:
        headers = {"X-Telegram-Bot-Api-Secret-Token": hook.secret} if hook.secret else {}
        try:
            async with http.post(hook.url, json=update, headers=headers, allow_redirects=False) as answer:
                if 200 <= answer.status < 300:
                    return True
                hook.last_error = f"Wrong response from the webhook: {answer.status} {answer.reason}"
        except (aiohttp.ClientError, TimeoutError) as error:
            hook.last_error = f"Connection failed: {error}"
        hook.last_error_date = int(time.time())
        return False

    def set_webhook(self, webhook: WebhookTarget) -> None:
        """Set the webhook, or remove it if it has no URL; a running poll ends."""
        self.webhook = webhook
        if webhook.url and self._poll is not None and not self._poll.done():
            self._poll.set_exception(_conflict("terminated by setWebhook request"))
        self._changes.touch()


def _conflict(why: str) -> ApiError:
    return ApiError(409, f"Conflict: {why}")
