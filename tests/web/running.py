"""The HTTP server on a real socket and database, without the rest of the bot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
from sqlalchemy import text as sql

from bot.i18n import I18n
from bot.monitoring.exposition import Exposition
from bot.monitoring.metrics import Metrics
from bot.telegram.health import TelegramState
from bot.web.app import make_web_app
from bot.web.auth import Authenticator
from bot.web.dependencies import Backend
from bot.web.readiness import ReadinessCheck
from bot.web.routers.webhook import TelegramWebhook
from bot.web.server import serve
from services.accounts.people import People
from services.accounts.tokens import Tokens
from services.availability.rate_limit import RateLimit
from services.clock import utc_now
from services.following.service import ChannelService
from services.ingest.api_posts import ApiPosts
from services.library.api_queries import ApiQueries
from services.library.bot_queries import BotQueries
from services.library.feeds import Feeds
from services.library.search import Search
from services.llm.client import Provider
from services.metrics import MetricsReader
from services.tagging.service import TaggingService
from services.tags.post_tags import PostTags
from services.tags.user_rules import UserRules
from services.tags.vocabulary import Vocabularies
from storage.db.engine import Database, parse_url
from tests.proxy import Proxy, proxied
from tests.services.engine import CHAIN, FAST
from tests.storage.rows import NOW, add_posts, add_user

PUBLIC_URL = "https://bot.example.org/metka"
API_TOKEN = "the-administrators-token"
BEARER = {"Authorization": f"Bearer {API_TOKEN}"}


@dataclass
class Web:
    """A running server. `telegram` is the state that /readyz reads."""

    url: str
    http: aiohttp.ClientSession
    tokens: Tokens
    database: Database
    telegram: TelegramState
    #: Set when new posts wake the worker.
    woken: asyncio.Event
    feeds: Feeds


async def ask(web: Web, method: str, path: str) -> tuple[int, Any]:
    """Return status and JSON of a request as the administrator."""
    answer = await web.http.request(method, web.url + path, headers=BEARER)
    assert answer.headers["Content-Type"] == "application/json"
    return answer.status, await answer.json()


@asynccontextmanager
async def behind_proxy(migrated_url: str) -> AsyncIterator[tuple[Web, Proxy]]:
    """Serve over a proxy to the database, which can be cut."""
    async with proxied(migrated_url) as (proxy, address):
        database = Database(parse_url(address))
        try:
            async with serving(database) as web:
                yield web, proxy
        finally:
            await database.close()


@asynccontextmanager
async def serving(
    database: Database,
    *,
    api_token: str | None = API_TOKEN,
    public_url: str | None = PUBLIC_URL,
    enabled: bool = True,
    rate: float = 10_000,
    webhook: TelegramWebhook | None = None,
    fill: bool = True,
    search: bool = True,
) -> AsyncIterator[Web]:
    """Serve user 1 with posts 1–5 and user 2 with posts 101–102. No worker runs."""
    if fill:
        await _fill(database)
    tokens = Tokens(database, People(database, frozenset(), utc_now), utc_now)
    async with Provider("http://127.0.0.1:9", "key", 1, utc_now) as provider, aiohttp.ClientSession() as http:
        channels = ChannelService(database, lambda: None, utc_now)
        tagging = _tagging(database, provider, enabled=enabled)
        woken = asyncio.Event()
        api_posts = ApiPosts(database, woken.set, utc_now)
        feeds = Feeds(database, People(database, frozenset(), utc_now), public_url, utc_now)
        web = Web("", http, tokens, database, TelegramState("ok", NOW), woken, feeds)
        backend = Backend(
            authenticator=Authenticator(api_token, tokens),
            listing=ApiQueries(database, Search(database, BotQueries(database, utc_now), enabled=search)),
            api_posts=api_posts,
            feeds=feeds,
            i18n=I18n(ZoneInfo("UTC"), utc_now),
            tagging=tagging,
            rules=UserRules(database, utc_now),
            channels=channels,
            vocabularies=Vocabularies(database, utc_now, lambda: None),
            post_tags=PostTags(database, utc_now),
            readiness=ReadinessCheck(database, tagging, lambda: web.telegram),
            exposition=Exposition(Metrics(CHAIN, "1"), MetricsReader(database, CHAIN, enabled=enabled, clock=utc_now)),
            max_attempts=5,
        )
        async with serve(make_web_app(backend, webhook=webhook, rate=rate), "127.0.0.1", 0) as port:
            web.url = f"http://127.0.0.1:{port}"
            yield web


def _tagging(database: Database, provider: Provider, *, enabled: bool) -> TaggingService:
    return TaggingService(
        database,
        provider,
        CHAIN,
        FAST,
        RateLimit(0),
        batch_size=10,
        enabled=enabled,
        wake=lambda: None,
        probe=lambda: None,
        clock=utc_now,
        random=Random(1),
    )


async def _fill(database: Database) -> None:
    async with database.write() as session:
        await add_user(session, 1)
        await add_user(session, 2)
        await add_posts(session, 1, 2, tagging_status="success", tags=["новости", "город"])
        failed = {"tagging_status": "failed", "tagging_attempts": 5, "tagging_error": "HTTP 503 (m)"}
        await add_posts(session, 1, 1, first=3, **failed)
        await add_posts(session, 1, 1, first=4, tagging_status="retrying", tagging_attempts=1)
        await add_posts(session, 1, 1, first=5)
        await add_posts(session, 2, 2, first=101)
        if not database.is_sqlite:
            # The rows above have ids of their own: the next ones go on after them.
            for table in ("users", "channels", "posts"):
                await session.execute(sql(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1000)"))
