"""Keys and addresses as people copy them, and names that nothing reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli.doctor.check import CheckWarning
from bot.cli.doctor.configuration import check_names
from bot.settings import Settings, SettingsError, load_settings, unknown_names

TOKEN = "12345:AAbb-cc_dd"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no `.env` but the test's."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def shown(settings: Settings, name: str) -> str:
    value = getattr(settings, name.lower())
    return str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("OPENROUTER_API_KEY", ' "sk-or-v1-abc" \n', "sk-or-v1-abc"),
        ("OPENROUTER_API_KEY", "'sk-or-v1-abc'", "sk-or-v1-abc"),
        ("OPENROUTER_API_KEY", "\u200b“sk-or-v1-abc”\xa0", "sk-or-v1-abc"),
        ("OPENROUTER_API_KEY", '""', ""),
        ("BOT_TOKEN", f' "{TOKEN}"\r', TOKEN),
        ("OPENROUTER_BASE_URL", ' "https://openrouter.ai/api/v1/" ', "https://openrouter.ai/api/v1"),
        ("OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1/chat/completions", "https://openrouter.ai/api/v1"),
        ("DATABASE_URL", " 'sqlite:///x.db' ", "sqlite:///x.db"),
        ("OPENROUTER_MODEL", '"a/b"', "a/b"),
        ("HTTPS_PROXY", "host:3128", "http://host:3128"),
        ("ALL_PROXY", '"socks5://a:b@host:1080"', "socks5://a:b@host:1080"),
    ],
)
def test_what_stands_around_a_value_is_stripped(
    monkeypatch: pytest.MonkeyPatch, name: str, given: str, value: str
) -> None:
    """Docker's env_file keeps quotes, and a copied line has blanks."""
    monkeypatch.setenv(name, given)
    assert shown(load_settings(), name) == value


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("OPENROUTER_API_KEY", "ключ", "must be one word of Latin letters"),
        ("OPENROUTER_API_KEY", "sk-or v1", "must be one word of Latin letters"),
        ("OPENROUTER_API_KEY", "sk-or\nX-Evil: 1", "must be one word of Latin letters"),
        ("BOT_TOKEN", "12345:тт", "must look like 123456:ABC"),
        ("BOT_TOKEN", "12345:a/b", "must look like 123456:ABC"),
        ("OPENROUTER_BASE_URL", "https://host/v1?api-version=1", "must end with its path"),
        ("OPENROUTER_BASE_URL", "https://ho st/v1", "must be an address"),
        ("ALL_PROXY", "socks5://host", "must be an address such as"),
        ("HTTP_PROXY", "ftp://host:21", "must be an address such as"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, given: str, words: str
) -> None:
    """Which does not show the value."""
    monkeypatch.setenv(name, given)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert str(error.value).startswith(f"{name}: {words}")
    assert len(str(error.value).splitlines()) == 1
    assert given not in str(error.value)


def test_a_proxys_password_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://anna:hunter2@host:1080")
    assert "hunter2" in load_settings().secrets()


async def test_names_that_nothing_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In .env all; in the environment, where others' variables are, those that are nearly ours."""
    (tmp_path / ".env").write_text(
        "ADMIN_ID=1\nOPENROUTER_KEY=x\nbot_token=\nCOMPOSE_FILE=a\nPOSTGRES_PASSWORD=b\nZEBRA=1\nHTTPS_PROXY=\n",
        "utf-8",
    )
    monkeypatch.setenv("TAGGING_BATCHSIZE", "1")
    monkeypatch.setenv("HOME_SWEET_HOME", "1")
    assert unknown_names() == [
        "ADMIN_ID is not known: did you mean ADMIN_IDS?",
        "OPENROUTER_KEY is not known: did you mean OPENROUTER_API_KEY?",
        "TAGGING_BATCHSIZE is not known: did you mean TAGGING_BATCH_SIZE?",
        "ZEBRA is not known",
    ]
    with pytest.raises(CheckWarning, match="ADMIN_ID is not known"):
        await check_names(load_settings())


async def test_without_a_file_all_names_are_known() -> None:
    assert await check_names(load_settings()) == ""
