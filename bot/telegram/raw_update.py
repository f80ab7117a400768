"""An update as Telegram sent it → the update that the handlers get."""

from dataclasses import dataclass
from typing import Any

import structlog
from aiogram import Bot
from aiogram.types import Update
from pydantic import ValidationError

from bot.telegram.reduced_update import reduced

log = structlog.get_logger(__name__)

LEAST_NUMBER, MOST_NUMBER = -(2**63), 2**63 - 1
LONGEST_FIELD = 200


@dataclass(frozen=True, slots=True)
class RawUpdate:
    """`fault`: the field that aiogram cannot read. The update then holds only the fields that handlers use."""

    body: dict[str, Any]
    fault: str | None = None

    @property
    def message(self) -> dict[str, Any]:
        """The message or channel post; empty in an update of another kind."""
        kinds = ("message", "channel_post", "edited_channel_post")
        return next((found for kind in kinds if isinstance(found := self.body.get(kind), dict)), {})


def read_update(body: dict[str, Any], bot: Bot) -> tuple[Update | None, RawUpdate]:
    """The update is None if it cannot be read at all, or is of a kind that aiogram does not know."""
    update_id = body.get("update_id")
    if _holds_absurd_number(body):
        log.warning("update_skipped", update_id=update_id, error="absurd number")
        return None, RawUpdate(body)
    try:
        return _validated(body, bot), RawUpdate(body)
    except LookupError as error:
        log.warning("update_skipped", update_id=update_id, error=type(error).__name__)
        return None, RawUpdate(body)
    except (ValidationError, RecursionError) as error:
        fault = _field(error)
    try:
        update = _validated(reduced(body), bot)
    except (ValidationError, LookupError, RecursionError):
        log.warning("update_skipped", update_id=update_id, field=fault)
        return None, RawUpdate(body, fault)
    log.warning("update_reduced", update_id=update_id, field=fault)
    return update, RawUpdate(body, fault)


def _validated(body: dict[str, Any], bot: Bot) -> Update:
    """Raises ValidationError, LookupError (a kind that aiogram does not know) or RecursionError."""
    update = Update.model_validate(body, context={"bot": bot})
    _ = update.event_type
    return update


def _field(error: ValidationError | RecursionError) -> str:
    """Where the first error is: names of fields and places in lists, nothing that a person wrote."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ".".join(map(str, first["loc"]))[:LONGEST_FIELD]


def _holds_absurd_number(raw: Any) -> bool:
    """Whether parsed JSON holds an integer that no database takes. Telegram's own have 52 bits at most."""
    waiting = [raw]
    while waiting:
        value = waiting.pop()
        kind = type(value)
        if kind is dict:
            waiting.extend(value.values())
        elif kind is list:
            waiting.extend(value)
        elif kind is int and not LEAST_NUMBER <= value <= MOST_NUMBER:
            return True
    return False
