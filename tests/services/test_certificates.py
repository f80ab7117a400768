"""A server whose certificate is not trusted is called that."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiogram.exceptions import TelegramNetworkError
from structlog.testing import capture_logs

from bot.telegram.dispatcher import make_bot
from bot.telegram.health import TelegramHealth
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from services.llm.client import Provider, Request
from services.llm.outcomes import Kind
from services.sources.base import SourceUnavailableError
from services.sources.preview.client import PreviewClient
from tests.certificates import make_certificate, serve_tls

REFUSED = "certificate is refused (self-signed certificate): name the file with your CA in SSL_CERT_FILE"


async def test_of_a_provider(tmp_path: Path) -> None:
    """And nobody's fault but the server's: posts wait."""
    async with (
        serve_tls(ProviderSandbox().make_app(), make_certificate(tmp_path)) as url,
        Provider(f"{url}/api/v1", "key", 5, utc_now) as provider,
    ):
        outcome = (await provider.ask(Request(("Новости города",), ("a/b",)))).outcome
    assert (outcome.kind, outcome.reason) == (Kind.NETWORK, f"the server's {REFUSED}")


async def test_of_a_preview(tmp_path: Path) -> None:
    async with serve_tls(ProviderSandbox().make_app(), make_certificate(tmp_path)) as url:
        client = PreviewClient("1", url)
        with pytest.raises(SourceUnavailableError) as error:
            await client.fetch("gorod", 0)
        await client.aclose()
    assert str(error.value) == f"the {REFUSED}"


async def test_of_telegram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged once, and SSL_CERT_FILE mends it."""
    telegram, health = TelegramSandbox(), TelegramHealth(utc_now)
    certificate = make_certificate(tmp_path)
    async with serve_tls(telegram.make_app(), certificate) as url:
        bot = make_bot(telegram.token, url)
        with capture_logs() as lines:
            for _ in range(2):
                with pytest.raises(TelegramNetworkError) as error:
                    await bot.get_me()
                health.failed(error.value)
        await bot.session.close()
        assert [(line["event"], line["error"]) for line in lines] == [
            ("telegram_certificate_refused", "self-signed certificate")
        ]
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        bot = make_bot(telegram.token, url)
        assert (await bot.get_me()).is_bot
        await bot.session.close()
