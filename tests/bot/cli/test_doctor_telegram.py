"""What doctor says of the bot at Telegram."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bot.cli.doctor.check import CheckWarning
from bot.cli.doctor.telegram_settings import bot_settings, lacking, updates

Json = dict[str, Any]
OURS, THEIRS = "https://metka.example/hook", "https://theirs.example/secret"


def said(check: Callable[[], str]) -> tuple[str, str]:
    try:
        return "ok", check()
    except CheckWarning as warning:
        return "warn", str(warning)


@pytest.mark.parametrize(
    ("me", "level", "words"),
    [
        ({}, "ok", "inline mode is off"),
        ({"can_read_all_group_messages": True}, "warn", "/setprivacy"),
        ({"supports_inline_queries": True}, "ok", "inline mode is on"),
        ({"supports_inline_queries": False}, "ok", "/setinline"),
        ({"can_join_groups": False}, "warn", "/setjoingroups"),
    ],
)
def test_the_bots_settings(me: Json, level: str, words: str) -> None:
    found = said(lambda: bot_settings(me))
    assert (found[0], words in found[1]) == (level, True)


@pytest.mark.parametrize(
    ("hook", "wanted", "level", "words"),
    [
        ({"url": ""}, None, "ok", "by polling"),
        ({"url": THEIRS}, None, "warn", "theirs.example"),
        ({"url": ""}, OURS, "ok", "sets at its start"),
        ({"url": OURS, "pending_update_count": 0, "last_error_message": "old"}, OURS, "ok", "by webhook"),
        ({"url": OURS, "pending_update_count": 7, "last_error_message": "Not found"}, OURS, "warn", "7 to"),
        ({"url": THEIRS}, OURS, "warn", "another program"),
    ],
)
def test_how_updates_come(hook: Json, wanted: str | None, level: str, words: str) -> None:
    found = said(lambda: updates(hook, wanted))
    assert (found[0], words in found[1], "secret" in found[1]) == (level, True, False)


@pytest.mark.parametrize(
    ("member", "writes", "words"),
    [
        ({"status": "administrator", "can_edit_messages": True}, True, None),
        ({"status": "administrator"}, False, None),
        ({"status": "administrator"}, True, "right to edit"),
        ({"status": "left"}, False, "no administrator"),
        ("Bad Request: chat not found", False, "chat not found"),
    ],
)
def test_what_is_lacking_in_a_channel(member: Json | str, writes: bool, words: str | None) -> None:
    found = lacking(member, writes=writes)
    assert found is None if words is None else words in (found or "")
