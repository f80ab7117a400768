"""Telegram's checks of a message."""

from __future__ import annotations

from typing import Any

from sandbox.telegram import entities as text_entities
from sandbox.telegram.errors import bad_request
from sandbox.telegram.params import decoded

Json = dict[str, Any]
TEXT_LIMIT = 4096
CAPTION_LIMIT = 1024
BUTTON_ACTIONS = {"callback_data", "url", "web_app", "switch_inline_query", "copy_text", "login_url"}


def text_and_entities(params: Json) -> tuple[str, list[Json]]:
    """The checked text of a message, and its entities."""
    text, marks = _parsed(params, "text", "entities")
    if not text:
        raise bad_request("message text is empty")
    if text_entities.utf16_len(text) > TEXT_LIMIT:
        raise bad_request("message is too long")
    return text, marks


def caption_and_entities(params: Json) -> tuple[str, list[Json]]:
    """The checked caption of a file, and its entities; it may be empty."""
    text, marks = _parsed(params, "caption", "caption_entities")
    if text_entities.utf16_len(text) > CAPTION_LIMIT:
        raise bad_request("message caption is too long")
    return text, marks


def _parsed(params: Json, text_name: str, entities_name: str) -> tuple[str, list[Json]]:
    source = str(params.get(text_name) or "")
    mode = str(params.get("parse_mode") or "").lower()
    if mode == "html":
        text, marks = text_entities.parse_html(source)
    elif mode:
        raise bad_request(f"unsupported parse_mode: the sandbox knows only HTML, not {mode}")
    else:
        text, marks = source, decoded(params, entities_name) or []
    text, marks = text_entities.trimmed(text, marks)
    return text, text_entities.detected(text, marks)


def markup(params: Json) -> Json | None:
    """The checked reply_markup; None if it is missing or empty."""
    value = decoded(params, "reply_markup")
    if not value:
        return None
    if not isinstance(value, dict):
        raise bad_request("object expected as reply markup")
    rows = value.get("inline_keyboard")
    if rows is None:
        return value
    buttons = [_button(button) for row in rows for button in row]
    if len(buttons) > 100:
        raise bad_request("reply markup is too long")
    return {"inline_keyboard": rows} if buttons else None


def _button(button: Json) -> Json:
    if not button.get("text"):
        raise bad_request("inline keyboard button text is empty")
    if not BUTTON_ACTIONS & {name for name, value in button.items() if value is not None}:
        raise bad_request("text buttons are unallowed in the inline keyboard")
    data = button.get("callback_data")
    if data is not None and not 1 <= len(str(data).encode()) <= 64:
        raise bad_request("BUTTON_DATA_INVALID")
    return button
