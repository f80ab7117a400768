"""Public channels as a source: the preview's pages over HTTP, newest first, one request a second in all."""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass

import aiohttp
from aiolimiter import AsyncLimiter
from yarl import URL

from services.certificates import TRUST, certificate_fault
from services.clock import Clock, utc_now
from services.proxies import DIRECT, Proxies
from services.sources.base import (
    UNKNOWN,
    Delivery,
    Source,
    SourceChannel,
    SourceError,
    SourceGoneError,
    SourceUnavailableError,
    SourceUnreadableError,
)
from services.sources.preview.page import PreviewPage, read_page
from services.sources.preview.responses import REDIRECTS, Renamed, redirected, refused

TELEGRAM_URL = "https://t.me"
MAX_PAGE_BYTES = 5 * 2**20
CHUNK_BYTES = 2**16
MAX_REDIRECTS = 5

_NAME = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)
_Validators = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """The page of a channel under its present name; `html` is None when nothing has changed."""

    name: str
    html: str | None
    validators: _Validators


class PreviewClient:
    """The server of public previews. One client per process: its rate limit holds for all channels together."""

    def __init__(
        self,
        version: str,
        base_url: str = TELEGRAM_URL,
        *,
        about: str | None = None,
        requests_per_second: float = 1.0,
        timeout: float = 30.0,
        clock: Clock = utc_now,
        proxies: Proxies = DIRECT,
    ) -> None:
        """`about`: a URL for the User-Agent, by which the server's operators can reach this bot's owner."""
        self._base = URL(base_url.rstrip("/"))
        self._headers = {
            "User-Agent": f"Metka/{version} ({f'+{about}' if about else 'self-hosted'}; reads public previews)",
            "Accept": "text/html",
            "Accept-Language": "en",
        }
        # AsyncLimiter(N, 1) would allow bursts of N.
        self._limiter = AsyncLimiter(1, 1 / requests_per_second)
        self._timeout = timeout
        self._clock = clock
        self._proxies = proxies
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False
        self._validators: dict[str, _Validators] = {}

    def channel(self, name: str) -> Source:
        return _ChannelPreview(self, name)

    def remember(self, name: str, answer: PageAnswer) -> None:
        """The newest page of `name` was read: from now on only a newer one is wanted."""
        self._validators[name.lower()] = answer.validators

    def forget(self, name: str) -> None:
        """Deliver the newest page of `name` next time even if it has not changed."""
        self._validators.pop(name.lower(), None)

    async def aclose(self) -> None:
        """Close the connections; every later request fails."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    async def fetch(self, name: str, before: int) -> PageAnswer:
        """The page of a channel with messages before a number (0: the newest page); follows renames.

        Raises:
            SourceError: there is no page, or none now.
        """
        known = {} if before else self._validators.get(name.lower(), {})
        for _ in range(MAX_REDIRECTS):
            try:
                async with self._limiter, asyncio.timeout(self._timeout):
                    found = await self._request(name, before, known)
            except TimeoutError:
                raise SourceUnavailableError("no answer in time") from None
            except (aiohttp.ClientError, OSError) as error:
                if fault := certificate_fault(error):
                    raise SourceUnavailableError(f"the certificate is refused ({fault}): {TRUST}") from None
                raise SourceUnavailableError(f"no answer: {type(error).__name__}") from None
            if isinstance(found, PageAnswer):
                return found
            name = found.name
        raise SourceUnavailableError("the server sends in a circle", of_this_name=True)

    async def _request(self, name: str, before: int, known: _Validators) -> PageAnswer | Renamed:
        query = {"before": str(before)} if before else {}
        url = (self._base / "s" / name).with_query(query)
        async with self._open_session().get(url, headers=known, allow_redirects=False) as response:
            if response.status in REDIRECTS:
                meaning = redirected(self._base, url, response.headers.get("Location", ""))
                if isinstance(meaning, SourceError):
                    raise meaning
                return meaning
            if response.status == 304 and known:
                return PageAnswer(name, None, known)
            if response.status != 200:
                raise refused(response.status, response.headers.get("Retry-After"), self._clock())
            return PageAnswer(name, await _text(response), _validators(response))

    def _open_session(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise SourceUnavailableError("the preview client is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._headers,
                # asyncio.timeout in `fetch` is the only time limit.
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                **self._proxies.session_options(str(self._base)),
            )
        return self._session


class _ChannelPreview:
    def __init__(self, client: PreviewClient, name: str) -> None:
        self._client = client
        self._name = name

    async def deliveries(self, position: int = 0) -> AsyncGenerator[Delivery, None]:
        """As `Source.deliveries`, one page each. The delivery's channel has its present name."""
        if not _NAME.fullmatch(self._name):
            raise SourceGoneError("this is no name of a channel")
        name, before = self._name, max(position, 0)
        while True:
            answer = await self._client.fetch(name, before)
            if answer.html is None:
                return
            # Parsing a large page takes a second.
            page = await asyncio.to_thread(read_page, answer.html, answer.name)
            name, reached = answer.name, _position(page, before)
            if before == 0:
                self._client.remember(self._name, answer)
            if page.lowest is not None or before == 0:
                yield _delivery(page, reached)
            if page.before is None:
                return
            before = reached


def _delivery(page: PreviewPage, position: int) -> Delivery:
    channel = SourceChannel(telegram_id=None, username=page.name, title=page.title)
    is_whole = UNKNOWN not in page.skipped
    return Delivery(channel, page.posts, position, page.skipped, is_whole=is_whole, is_last=page.before is None)


def _position(page: PreviewPage, asked: int) -> int:
    """Where the next older page begins; 0 for a channel without messages."""
    reached = min((number for number in (page.lowest, page.before) if number is not None), default=asked)
    if page.before is not None and asked and reached >= asked:
        raise SourceUnreadableError("the link to older posts does not lead to older ones")
    return reached


def _validators(response: aiohttp.ClientResponse) -> _Validators:
    names = {"If-None-Match": "ETag", "If-Modified-Since": "Last-Modified"}
    return {asked: response.headers[told] for asked, told in names.items() if told in response.headers}


async def _text(response: aiohttp.ClientResponse) -> str:
    body = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_PAGE_BYTES:
            raise SourceUnreadableError("the answer is larger than any page")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise SourceUnreadableError("the answer is not text in UTF-8") from None
