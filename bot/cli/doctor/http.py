"""A GET request of a check."""

import json
from typing import Any, NamedTuple

import aiohttp

from bot.cli.doctor.check import CheckFailed
from services.proxies import Proxies

SECONDS = 10
MOST_BYTES = 20 * 2**20


class Answer(NamedTuple):
    """`body`: None if it was no JSON."""

    status: int
    body: Any = None


async def get_json(url: str, headers: dict[str, str], who: str, proxies: Proxies) -> Answer:
    """Raises CheckFailed if nothing answers."""
    try:
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=SECONDS), **proxies.session_options(url)
            ) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            return Answer(response.status, await _json(response))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        # Never the error's text: it holds the URL, and so the token.
        by_proxy = ", through the proxy of HTTP_PROXY, HTTPS_PROXY or ALL_PROXY" if proxies.of(url) else ""
        raise CheckFailed(f"{who} does not answer ({type(error).__name__}{by_proxy}): check the network") from None


async def _json(response: aiohttp.ClientResponse) -> Any:
    body = bytearray()
    while len(body) < MOST_BYTES and (chunk := await response.content.readany()):
        body += chunk
    try:
        return json.loads(bytes(body).decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None
