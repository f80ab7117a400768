"""Feeds over HTTP: whoever has the secret link reads them, without a token."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Request, Response

from bot.views import feeds as views
from bot.web.access import host_of, is_loopback
from bot.web.dependencies import TheBackend
from services.clock import utc_now
from services.library.feeds import feed_path

MEDIA_TYPE = "application/rss+xml"
#: Readers ask so often at most; nobody between keeps it, since the address is a secret.
CACHING = "private, max-age=300"


async def whole_feed(secret: str, request: Request, backend: TheBackend) -> Response:
    """The newest tagged posts of a user, as RSS."""
    return await _feed(request, backend, secret, None)


async def tag_feed(secret: str, tag: str, request: Request, backend: TheBackend) -> Response:
    """Those with one tag."""
    return await _feed(request, backend, secret, tag)


async def _feed(request: Request, backend: TheBackend, secret: str, tag: str | None) -> Response:
    root = backend.feeds.public_url
    # The secret is in the address: what comes under another name did not come by a link, and the document would name
    # an address that nobody knows to be ours.
    if root is None or not _is_of(request.headers.get("host", ""), root):
        raise _no_such_feed()
    found = await backend.feeds.read(secret, tag)
    if found is None:
        raise _no_such_feed()
    from services.library.rss import document  # noqa: PLC0415 - for those who have feeds

    about = views.feed_about(backend.i18n.texts(found.language), tag)
    body = await asyncio.to_thread(document, found, root, f"{root}/feeds/{feed_path(secret, tag)}", about)
    headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"', "Cache-Control": CACHING}
    changed_at = min(found.changed_at, utc_now()).astimezone(UTC).replace(microsecond=0)
    headers["Last-Modified"] = format_datetime(changed_at, usegmt=True)
    if _is_known(request.headers, headers["ETag"], changed_at):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=f"{MEDIA_TYPE}; charset=utf-8", headers=headers)


def _no_such_feed() -> HTTPException:
    return HTTPException(404, "There is no such feed")


def _is_of(host: str, public_url: str) -> bool:
    """PURE: whether a request came by the public address, or from this machine."""
    name = host_of(host)
    return is_loopback(name) or name == urlsplit(public_url).hostname


def _is_known(given: Any, etag: str, changed_at: datetime) -> bool:
    """PURE: whether the reader has this already, by what it says of it; a tag is more exact than a time."""
    if (tags := given.get("if-none-match")) is not None:
        return tags.strip() == "*" or etag in {each.strip().removeprefix("W/") for each in tags.split(",")}
    try:
        since = parsedate_to_datetime(given.get("if-modified-since", ""))
    except (ValueError, OverflowError):
        return False
    return changed_at <= (since if since.tzinfo else since.replace(tzinfo=UTC))


def router() -> APIRouter:
    """This topic's paths."""
    made = APIRouter(include_in_schema=False)
    made.get("/feeds/{secret}.xml")(whole_feed)
    made.get("/feeds/{secret}/{tag:path}.xml")(tag_feed)
    return made
