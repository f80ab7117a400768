"""Who calls the HTTP API.

With API_TOKEN every caller needs a bearer token: API_TOKEN itself (the administrator) or the token of one user. Without
API_TOKEN a program on this machine is the administrator; requests from a proxy or a web page are refused.
"""

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

from services.accounts.tokens import Tokens

#: Besides *forwarded* and *client-ip*.
PROXY_HEADERS = frozenset({"via", "x-real-ip", "cf-connecting-ip"})


@dataclass(frozen=True, slots=True)
class Caller:
    """`user_id` is None for the administrator, who reaches all rows."""

    user_id: int | None

    @property
    def is_admin(self) -> bool:
        return self.user_id is None


ADMIN = Caller(None)


class Authenticator:
    def __init__(self, api_token: str | None, tokens: Tokens) -> None:
        self._api_token = api_token
        self._tokens = tokens

    @property
    def is_open_to_loopback(self) -> bool:
        return self._api_token is None

    async def caller(self, request: Request) -> Caller:
        """Raises HTTPException: 401 without a known token, 403 from another machine if API_TOKEN is not set."""
        if self._api_token is None:
            client = request.client.host if request.client else None
            if reason := why_not_local(client, request.headers, request.scope["http_version"]):
                raise HTTPException(403, f"Without API_TOKEN only callers on this machine are served: {reason}")
            if "authorization" not in request.headers:
                return ADMIN
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise _unauthorized("This needs the header Authorization: Bearer <token>")
        return await self._owner(token.strip())

    async def _owner(self, token: str) -> Caller:
        if self._api_token is not None and hmac.compare_digest(_encoded(token), _encoded(self._api_token)):
            return ADMIN
        user_id = await self._tokens.user_of(token)
        if user_id is None:
            raise _unauthorized("The token is not known")
        return Caller(user_id)


def why_not_local(client: str | None, headers: Mapping[str, str], http_version: str = "1.1") -> str | None:
    """Why a request is not from a program on this machine; None if it is.

    A web page cannot forge Host (which shows DNS rebinding), nor omit Origin from a POST. A proxy that adds no header
    can be recognized by HTTP/1.0 only, which is nginx's default.
    """
    if client is None or not is_loopback(client):
        return "the address is another"
    if http_version == "1.0" or any(map(_is_from_proxy, headers)):
        return "a proxy passed the request on"
    host = headers.get("host", "")
    if not is_loopback(host_name(host)):
        return "the header Host names another"
    origin = headers.get("origin")
    if origin is not None and not _is_same_origin(origin, host):
        return "a page of another origin sent the request"
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return "a page of another site sent the request"
    return None


def is_loopback(name: str) -> bool:
    if name.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    # A dual-stack socket reports 127.0.0.1 as ::ffff:127.0.0.1.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def host_name(host: str) -> str:
    """The name or address in a Host header, in lower case; "" if there is none."""
    try:
        return "" if "@" in host else urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_from_proxy(header: str) -> bool:
    header = header.lower().replace("_", "-")
    return header in PROXY_HEADERS or "forwarded" in header or header.endswith("client-ip")


def _is_same_origin(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def _encoded(token: str) -> bytes:
    return token.encode("utf-8", "replace")


def _unauthorized(detail: str) -> HTTPException:
    return HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})
