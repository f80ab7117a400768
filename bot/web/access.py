"""Who calls the HTTP API, and what they may reach.

With API_TOKEN everybody needs a bearer token: it, the administrator's, or one of a single user. Without it whoever
reaches the loopback address is the administrator, if nothing in the request says that it comes from elsewhere by way
of a reverse proxy or of a web page in somebody's browser.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

from services.accounts.tokens import Tokens

#: What reverse proxies add (RFC 7239, and the usual ones before it), besides all that is called forwarded or client-ip.
FORWARDING = frozenset({"via", "x-real-ip", "cf-connecting-ip"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose rows may be reached. `user_id` None: the administrator, who reaches all."""

    user_id: int | None

    @property
    def is_admin(self) -> bool:
        """Whether this is the administrator."""
        return self.user_id is None


ADMIN = Caller(None)


class Gate:
    """Tells callers from strangers."""

    def __init__(self, api_token: str | None, tokens: Tokens) -> None:
        self._api_token = api_token
        self._tokens = tokens

    @property
    def is_open_to_loopback(self) -> bool:
        """Whether no token is needed on this machine."""
        return self._api_token is None

    async def caller(self, request: Request) -> Caller:
        """Who sent a request.

        Raises:
            HTTPException: 401 without a known token, 403 from elsewhere than loopback.
        """
        if self._api_token is None and (reason := _foreign(request)):
            raise HTTPException(403, f"Without API_TOKEN only callers on this machine are served: {reason}")
        given = _bearer(request.headers)
        if given is None:
            if self._api_token is None and "authorization" not in request.headers:
                return ADMIN
            raise _unauthorized("This needs the header Authorization: Bearer <token>")
        return await self._owner(given)

    async def _owner(self, given: str) -> Caller:
        if self._api_token is not None and hmac.compare_digest(_encoded(given), _encoded(self._api_token)):
            return ADMIN
        user_id = await self._tokens.user_of(given)
        if user_id is None:
            raise _unauthorized("The token is not known")
        return Caller(user_id)


def _foreign(request: Request) -> str | None:
    client = request.client.host if request.client else None
    return foreign(client, request.headers, request.scope["http_version"])


def foreign(client: str | None, headers: Mapping[str, str], http_version: str = "1.1") -> str | None:
    """PURE: why a request is not one of a program on this machine; None when it is.

    A page in a browser cannot send another Host than its own address (DNS rebinding shows there), nor a POST
    without its Origin. A proxy that adds no header cannot be told from a program, unless it speaks HTTP/1.0, as
    nginx does if it is not told otherwise.
    """
    if client is None or not is_loopback(client):
        return "the address is another"
    if http_version == "1.0" or any(map(_is_proxys, headers)):
        return "a proxy passed the request on"
    host = headers.get("host", "")
    if not is_loopback(host_of(host)):
        return "the header Host names another"
    origin = headers.get("origin")
    if origin is not None and not _is_of(origin, host):
        return "a page of another origin sent the request"
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return "a page of another site sent the request"
    return None


def is_loopback(name: str) -> bool:
    """PURE: localhost, or an address such as 127.0.0.1 or ::1."""
    if name.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    # What a socket of both families calls 127.0.0.1.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _is_proxys(name: str) -> bool:
    name = name.lower().replace("_", "-")
    return name in FORWARDING or "forwarded" in name or name.endswith("client-ip")


def _is_of(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def host_of(host: str) -> str:
    """PURE: the name or address in a header Host, in lower case; empty when there is none."""
    try:
        return "" if "@" in host else urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _bearer(headers: Mapping[str, str]) -> str | None:
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if kind.lower() == "bearer" else None


def _encoded(token: str) -> bytes:
    return token.encode("utf-8", "replace")


def _unauthorized(detail: str) -> HTTPException:
    return HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})
