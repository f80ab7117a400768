"""PURE: which proxy a request to an address goes through, by the usual four variables."""

from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

import aiohttp
from aiohttp_socks import ProxyConnector
from python_socks import ProxyError

_SOCKS = {"socks": "socks5", "socks5": "socks5", "socks5h": "socks5", "socks4": "socks4", "socks4a": "socks4"}


class Proxies(NamedTuple):
    """HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY."""

    http: str = ""
    https: str = ""
    every: str = ""
    none: str = ""

    def of(self, url: str) -> str:
        """The proxy for an address; "" if there is none."""
        parts = urlsplit(url)
        if proxy_bypass_environment(parts.netloc.rpartition("@")[2], {"no": self.none}):
            return ""
        return (self.https if parts.scheme == "https" else self.http) or self.every

    def session_options(self, url: str, **connector: Any) -> dict[str, Any]:
        """Arguments of an aiohttp session for the server of one address. `connector`: arguments of its connector."""
        proxy = self.of(url)
        if urlsplit(proxy).scheme in _SOCKS:
            return {"connector": _Socks.from_url(_plain(proxy), rdns=True, **connector)}
        options: dict[str, Any] = {"connector": aiohttp.TCPConnector(**connector)}
        return {**options, "proxy": proxy} if proxy else options


DIRECT = Proxies()


def proxy_address(value: str) -> str:
    """A variable's value as an address: one without a scheme is HTTP's. Raises ValueError if it cannot be used."""
    address = value if "://" in value else f"http://{value}"
    parts = urlsplit(address)
    usable = parts.scheme in {"http", "https", *_SOCKS} and parts.hostname and parts.port != 0
    is_whole = value.isprintable() and " " not in value
    if not usable or not is_whole or (parts.scheme in _SOCKS and parts.port is None):
        raise ValueError("must be an address such as http://host:3128 or socks5://user:password@host:1080")
    return address


def _plain(proxy: str) -> str:
    parts = urlsplit(proxy)
    return urlunsplit(parts._replace(scheme=_SOCKS[parts.scheme]))


class _Socks(ProxyConnector):
    """Fails with aiohttp's own errors, which callers expect."""

    async def _connect_via_proxy(self, *args: Any, **options: Any) -> Any:
        try:
            return await super()._connect_via_proxy(*args, **options)
        except (ProxyError, OSError) as error:
            raise aiohttp.ClientConnectionError(type(error).__name__) from error
