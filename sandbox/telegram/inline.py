"""Inline mode: a query that a person types after the bot's name, and the bot's answer to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sandbox.telegram import checks
from sandbox.telegram.errors import bad_request
from sandbox.telegram.params import decoded, flag, integer

Json = dict[str, Any]
MOST_RESULTS = 50


@dataclass(frozen=True)
class InlineAnswer:
    """An answerInlineQuery. Of each result: `id`, `title`, `description`, and the `text` it would send."""

    results: list[Json]
    next_offset: str
    is_personal: bool
    cache_time: int
    button: Json | None


@dataclass
class InlineQuery:
    """A query, and its answer if there is one."""

    id: str
    user_id: int
    answer: InlineAnswer | None = None


def read_answer(params: Json) -> InlineAnswer:
    """The checked answer."""
    results = decoded(params, "results") or []
    if len(results) > MOST_RESULTS:
        raise bad_request("RESULTS_TOO_MUCH")
    if len({result.get("id") for result in results}) < len(results):
        raise bad_request("RESULT_ID_DUPLICATE")
    next_offset = str(params.get("next_offset") or "")
    if len(next_offset.encode()) > 64:
        raise bad_request("NEXT_OFFSET_INVALID")
    return InlineAnswer(
        [_result(result) for result in results],
        next_offset,
        flag(params, "is_personal"),
        integer(params, "cache_time", 300),
        _button(decoded(params, "button")),
    )


def _result(result: Json) -> Json:
    if result.get("type") != "article":
        raise bad_request("the sandbox knows only articles")
    if not 1 <= len(str(result.get("id") or "").encode()) <= 64:
        raise bad_request("RESULT_ID_INVALID")
    if not result.get("title"):
        raise bad_request("ARTICLE_TITLE_EMPTY")
    content = result.get("input_message_content") or {}
    text, marks = checks.text_and_entities(content | {"text": content.get("message_text")})
    shown = {name: result.get(name) for name in ("id", "title", "description")}
    return shown | {"text": text, "entities": marks}


def _button(button: Json | None) -> Json | None:
    if button is None:
        return None
    if not button.get("text"):
        raise bad_request("BUTTON_TEXT_EMPTY")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", str(button.get("start_parameter") or "")):
        raise bad_request("START_PARAM_INVALID")
    return button
