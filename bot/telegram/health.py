"""How things stand with Telegram, as whoever asks after the process's health is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import structlog

from bot.telegram.call_retry import is_token_refusal, name_of
from services.clock import Clock

log = structlog.get_logger(__name__)

State = Literal["ok", "failing", "standby", "starting"]


@dataclass(frozen=True, slots=True)
class TelegramState:
    """'standby': another process leads, or none yet; 'starting': this one does, and awaits the first answer.

    `since` says when the state began; `error` is the class of what Telegram failed with last.
    """

    state: State
    since: datetime | None = None
    error: str | None = None


class TelegramHealth:
    """Told by the leader's duties what Telegram answers; shared by all terms of the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now = TelegramState("standby")
        self._said_token = False

    def look(self) -> TelegramState:
        """How things stand."""
        return self._now

    def standby(self) -> None:
        """This process does not lead."""
        self._enter("standby")

    def starting(self) -> None:
        """A term begins."""
        self._enter("starting")

    def ok(self) -> None:
        """Telegram answered as it should."""
        self._said_token = False
        self._enter("ok")

    def failed(self, error: Exception) -> None:
        """Telegram did not. That it refuses the token is said once, in words: it does not mend by itself."""
        self._enter("failing", name_of(error))
        if is_token_refusal(error) and not self._said_token:
            self._said_token = True
            log.error("bot_token_refused", todo="Telegram does not accept BOT_TOKEN: copy it again from BotFather")

    def _enter(self, state: State, error: str | None = None) -> None:
        since = self._now.since if state == self._now.state else self._clock()
        self._now = TelegramState(state, since, error)
