from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import structlog

from bot.telegram.call_retry import error_name, is_token_refusal
from services.certificates import TRUST, certificate_fault
from services.clock import Clock

log = structlog.get_logger(__name__)

State = Literal["ok", "failing", "standby", "starting"]


@dataclass(frozen=True, slots=True)
class TelegramState:
    """'standby': this process does not lead. 'starting': it leads, and Telegram has not answered yet."""

    state: State
    since: datetime | None = None
    error: str | None = None


class TelegramHealth:
    """How Telegram answers. One for the process, over all its terms."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now = TelegramState("standby")
        self._is_said = False

    def look(self) -> TelegramState:
        return self._now

    def standby(self) -> None:
        self._enter("standby")

    def starting(self) -> None:
        self._enter("starting")

    def ok(self) -> None:
        self._is_said = False
        self._enter("ok")

    def failed(self, error: Exception) -> None:
        """A refused token or certificate is logged once: it does not mend by itself."""
        self._enter("failing", error_name(error))
        if self._is_said:
            return
        if fault := certificate_fault(error):
            self._is_said = True
            log.error("telegram_certificate_refused", error=fault, todo=TRUST)
        elif is_token_refusal(error):
            self._is_said = True
            log.error("bot_token_refused", todo="Telegram does not accept BOT_TOKEN: copy it again from BotFather")

    def _enter(self, state: State, error: str | None = None) -> None:
        since = self._now.since if state == self._now.state else self._clock()
        self._now = TelegramState(state, since, error)
