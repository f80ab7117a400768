"""RSS feeds: who has the secret link reads them, without a token."""

import asyncio
import hashlib
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Request, Response

from bot.views.channels import feeds as views
from bot.web.auth import host_name, is_loopback
from bot.web.dependencies import BackendDep
from services.clock import utc_now
from services.library.feeds import feed_path
from services.library.rss import document

router = APIRouter(include_in_schema=False)
MEDIA_TYPE = "application/rss+xml; charset=utf-8"
#: `private`, since the address is a secret that no shared cache should keep.
CACHING = "private, max-age=300"


@router.get("/feeds/{secret}.xml")
async def whole_feed(secret: str, request: Request, backend: BackendDep) -> Response:
    return await tag_feed(secret, None, request, backend)


@router.get("/feeds/{secret}/{tag:path}.xml")
async def tag_feed(secret: str, tag: str | None, request: Request, backend: BackendDep) -> Response:
    root = backend.feeds.public_url
    is_served = root is not None and _is_served_under(request.headers.get("host", ""), root)
    found = await backend.feeds.read(secret, tag) if is_served else None
    if root is None or found is None:
        raise HTTPException(404, "There is no such feed")
    about = views.feed_about(backend.i18n.texts(found.language), tag)
    body = await asyncio.to_thread(document, found, root, f"{root}/feeds/{feed_path(secret, tag)}", about)
    changed_at = min(found.changed_at, utc_now()).astimezone(UTC).replace(microsecond=0)
    headers = {
        "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        "Cache-Control": CACHING,
        "Last-Modified": format_datetime(changed_at, usegmt=True),
    }
    if _is_unchanged(request.headers, headers["ETag"], changed_at):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=MEDIA_TYPE, headers=headers)


def _is_served_under(host: str, public_url: str) -> bool:
    """Whether the request came to the public address, or from this machine."""
    name = host_name(host)
    return is_loopback(name) or name == urlsplit(public_url).hostname


def _is_unchanged(given: Any, etag: str, changed_at: datetime) -> bool:
    """Whether the reader has this version, by If-None-Match or else If-Modified-Since."""
    if (etags := given.get("if-none-match")) is not None:
        return etags.strip() == "*" or etag in {each.strip().removeprefix("W/") for each in etags.split(",")}
    try:
        since = parsedate_to_datetime(given.get("if-modified-since", ""))
    except (ValueError, OverflowError):
        return False
    return changed_at <= (since if since.tzinfo else since.replace(tzinfo=UTC))
