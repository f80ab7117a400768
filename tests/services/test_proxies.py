"""HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY: for models, Telegram and previews, through a real proxy."""

from __future__ import annotations

import pytest

from bot.cli.doctor.check import CheckFailed
from bot.cli.doctor.telegram import check_telegram
from bot.settings import Settings
from bot.telegram.dispatcher import make_bot
from sandbox.preview import PreviewSandbox
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from services.llm.client import Provider, Request
from services.llm.outcomes import Kind
from services.proxies import Proxies, proxy_address
from services.sources.preview.client import PreviewClient
from tests.http_proxy import http_proxy

TEXT = "Новая станция метро открылась сегодня"

#: (variables, address, the proxy).
CHOICES = [
    ({"http": "http://h:1", "https": "http://s:1"}, "http://a.org/v1", "http://h:1"),
    ({"http": "http://h:1", "https": "http://s:1"}, "https://a.org/v1", "http://s:1"),
    ({"every": "socks5://e:1"}, "https://a.org/v1", "socks5://e:1"),
    ({"every": "socks5://e:1", "https": "http://s:1"}, "https://a.org/v1", "http://s:1"),
    ({"http": "http://h:1"}, "https://a.org/v1", ""),
    ({"every": "socks5://e:1", "none": "localhost,127.0.0.1"}, "http://127.0.0.1:11434/v1", ""),
    ({"every": "socks5://e:1", "none": ".a.org"}, "https://api.a.org/v1", ""),
    ({"every": "socks5://e:1", "none": "a.org:8000"}, "http://a.org:8000/v1", ""),
    ({"every": "socks5://e:1", "none": "a.org"}, "https://ba.org/v1", "socks5://e:1"),
    ({"every": "socks5://e:1", "none": "*"}, "https://a.org/v1", ""),
]


@pytest.mark.parametrize(("variables", "url", "proxy"), CHOICES)
def test_which_proxy_an_address_has(variables: dict[str, str], url: str, proxy: str) -> None:
    assert Proxies(**variables).of(url) == proxy


@pytest.mark.parametrize("value", ["ftp://a:1", "socks5://a", "http://", "socks5://a:99999", "http://a b:1", "://"])
def test_what_is_no_proxy_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"must be an address|[Pp]ort"):
        proxy_address(value)


@pytest.mark.parametrize("kind", ["http", "socks5", "socks5h"])
@pytest.mark.parametrize("user", [None, "anna"])
async def test_everything_goes_through_the_proxy(
    provider: ProviderSandbox, telegram: TelegramSandbox, preview: PreviewSandbox, kind: str, user: str | None
) -> None:
    """Names are resolved by the proxy alone, also where this machine cannot."""
    names = {"models.invalid": provider.url, "telegram.invalid": telegram.url, "tme.invalid": preview.url}
    preview.channel("town", "Town").posts(TEXT)
    async with http_proxy(names, user) as proxy:
        credentials = f"{user}:word@" if user else ""
        proxies = Proxies(every=f"{kind}://{credentials}127.0.0.1:{proxy.port}")
        async with Provider("http://models.invalid/v1", "", 10, utc_now, proxies) as client:
            assert (await client.ask(Request((TEXT,), ("one/model",)))).outcome.kind is Kind.TAGGED
        bot = make_bot(telegram.token, "http://telegram.invalid", proxies)
        assert (await bot.get_me()).is_bot
        await bot.session.close()
        reader = PreviewClient("1", "http://tme.invalid", requests_per_second=100, proxies=proxies)
        assert "Town" in ((await reader.fetch("town", 0)).html or "")
        await reader.aclose()
    asked = [line.split()[0] for line in proxy.asked]
    assert asked == (["POST", "POST", "GET"] if kind == "http" else ["SOCKS5"] * 3)


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "socks5://127.0.0.1:1", "socks5://anna:wrong@{}"])
async def test_a_proxy_that_fails_is_an_outcome(provider: ProviderSandbox, address: str) -> None:
    """Called the proxy's, with no password, and doctor says so."""
    async with http_proxy({}, "anna") as proxy:
        proxies = Proxies(every=address.format(f"127.0.0.1:{proxy.port}"))
        async with Provider(provider.url, "", 10, utc_now, proxies) as client:
            outcome = (await client.ask(Request((TEXT,), ("one/model",)))).outcome
        assert (outcome.kind, "through the proxy" in outcome.reason) == (Kind.NETWORK, True)
        assert "wrong" not in outcome.reason
        settings = Settings.model_validate({"bot_token": "1:a", "all_proxy": proxies.every})
        with pytest.raises(CheckFailed, match="through the proxy of HTTP_PROXY"):
            await check_telegram(settings)
