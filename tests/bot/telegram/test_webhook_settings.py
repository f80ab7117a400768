"""The webhook's settings: a wrong one stops the start with one line that names the variable and what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.settings import SettingsError, load_settings

RIGHT = {"WEBHOOK_URL": "https://bot.example.org/metka/telegram", "WEBHOOK_SECRET": "s3cret_-", "API_TOKEN": "word"}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no `.env` but the test's."""
    monkeypatch.chdir(tmp_path)
    for name in (*RIGHT, "TELEGRAM_API_URL"):
        monkeypatch.delenv(name, raising=False)


def set_variables(monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
    for name, value in (RIGHT | changed).items():
        monkeypatch.setenv(name, value)


def test_the_path_is_the_one_served(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().webhook_path is None
    set_variables(monkeypatch)
    assert load_settings().webhook_path == "/metka/telegram"
    assert os.environ["WEBHOOK_SECRET"] in load_settings().secrets()


def test_http_is_for_a_server_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telegram's own sends to https only; a local Bot API server to either."""
    set_variables(monkeypatch, WEBHOOK_URL="http://127.0.0.1:8010/hook")
    with pytest.raises(SettingsError, match=r"^WEBHOOK_URL must begin with https://"):
        load_settings()
    monkeypatch.setenv("TELEGRAM_API_URL", "http://127.0.0.1:8081")
    assert load_settings().webhook_path == "/hook"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("WEBHOOK_SECRET", "", "WEBHOOK_SECRET must be given when WEBHOOK_URL is set"),
        ("WEBHOOK_SECRET", "with space", "WEBHOOK_SECRET: must be 1 to 256 characters"),
        ("WEBHOOK_SECRET", "слово", "WEBHOOK_SECRET: must be 1 to 256 characters"),
        ("WEBHOOK_SECRET", "x" * 257, "WEBHOOK_SECRET: must be 1 to 256 characters"),
        ("API_TOKEN", "", "API_TOKEN must be given when WEBHOOK_URL is set"),
        ("API_TOKEN", "пароль", "API_TOKEN: must be one word"),
        ("API_TOKEN", "two words", "API_TOKEN: must be one word"),
        ("WEBHOOK_URL", "https://me:word@bot.example.org/hook", "WEBHOOK_URL: must hold no name or password"),
        ("WEBHOOK_URL", "https://bot.example.org:99999/hook", "WEBHOOK_URL: must be an address"),
        ("WEBHOOK_URL", "https://bot.example.org/ho\nok", "WEBHOOK_URL: must be an address"),
        ("WEBHOOK_URL", "bot.example.org/hook", "WEBHOOK_URL: must be an address"),
        ("WEBHOOK_URL", "ftp://bot.example.org/hook", "WEBHOOK_URL: must be an address"),
        ("WEBHOOK_URL", "https://bot.example.org", "WEBHOOK_URL: must have a path"),
        ("WEBHOOK_URL", "https://bot.example.org/", "WEBHOOK_URL: must have a path"),
        ("WEBHOOK_URL", "https://bot.example.org//x", "WEBHOOK_URL: must have a path"),
        ("WEBHOOK_URL", "https://bot.example.org/a/../users", "WEBHOOK_URL: must have a path"),
        ("WEBHOOK_URL", "https://bot.example.org/{name}", "WEBHOOK_URL: must have a path"),
        ("WEBHOOK_URL", "https://bot.example.org/%75sers", "WEBHOOK_URL: must have a path"),
        ("WEBHOOK_URL", "https://bot.example.org/hook?a=1", "WEBHOOK_URL: must end with its path"),
        ("WEBHOOK_URL", "https://bot.example.org/hook#a", "WEBHOOK_URL: must end with its path"),
        ("WEBHOOK_URL", "https://bot.example.org/healthz", "WEBHOOK_URL: /healthz is a path of the HTTP server's own"),
        ("WEBHOOK_URL", "https://bot.example.org/users/5", "WEBHOOK_URL: /users/5 is a path of the HTTP server's own"),
    ],
)
def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    set_variables(monkeypatch, **{name: value})
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)
