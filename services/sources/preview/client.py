"""Public channels as a source: the preview's pages over HTTP, newest first, one request a second in all."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass

import aiohttp
from aiolimiter import AsyncLimiter
from yarl import URL

from services.clock import Clock, utc_now
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

TELEGRAMS_ADDRESS = "https://t.me"
MOST_BYTES, PIECE = 5 * 2**20, 2**16
MOST_REDIRECTS = 5
#: Channels whose validators are remembered, and how long one may be.
MOST_REMEMBERED, LONGEST_VALIDATOR = 10_000, 500

_NAME = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)
_Validators = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came for a name: `html` None: nothing has changed."""

    name: str
    html: str | None
    validators: _Validators


class Preview:
    """The server of the public preview; one of these in a process, so that its pace holds for all channels."""

    def __init__(
        self,
        version: str,
        base_url: str = TELEGRAMS_ADDRESS,
        *,
        about: str | None = None,
        requests_per_second: float = 1.0,
        timeout: float = 30.0,
        clock: Clock = utc_now,
    ) -> None:
        """Without any input or output: the first request opens the session.

        Args:
            version: of Metka, told to the server.
            about: an address under which the server's people find out who reads.
            timeout: seconds for one request.
        """
        self._base = URL(base_url.rstrip("/"))
        self._headers = {
            "User-Agent": f"Metka/{version} ({f'+{about}' if about else 'self-hosted'}; reads public previews)",
            "Accept": "text/html",
            "Accept-Language": "en",
        }
        # One request in so many seconds, rather than a burst and a pause.
        self._limiter = AsyncLimiter(1, 1 / requests_per_second)
        self._timeout = timeout
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False
        self._seen: OrderedDict[str, _Validators] = OrderedDict()

    def channel(self, name: str) -> Source:
        """The channel of that name (without @) as a source."""
        return _Channel(self, name)

    def forget(self, name: str) -> None:
        """Deliver the newest page the next time even if it is the same.

        For whoever could not store it, or wants it for somebody who has not got it yet.
        """
        self._seen.pop(name.lower(), None)

    async def aclose(self) -> None:
        """Close the connections; nothing can be read any more."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    async def ask(self, name: str, before: int) -> Answer:
        """The page of a name (`before` 0: the newest), under the name it has now.

        Raises:
            SourceError: there is none, or not now.
        """
        known = {} if before else self._seen.get(name.lower(), {})
        for _ in range(MOST_REDIRECTS):
            try:
                async with self._limiter, asyncio.timeout(self._timeout):
                    found = await self._asked_once(name, before, known)
            except TimeoutError:
                raise SourceUnavailableError("no answer in time") from None
            except (aiohttp.ClientError, OSError) as error:
                raise SourceUnavailableError(f"no answer: {type(error).__name__}") from None
            if isinstance(found, Answer):
                return found
            name = found.name
        raise SourceUnavailableError("the server sends in a circle", of_this_name=True)

    async def _asked_once(self, name: str, before: int, known: _Validators) -> Answer | Renamed:
        query = {"before": str(before)} if before else {}
        url = (self._base / "s" / name).with_query(query)
        async with self._opened().get(url, headers=known, allow_redirects=False) as response:
            if response.status in REDIRECTS:
                meant = redirected(self._base, url, response.headers.get("Location", ""))
                if isinstance(meant, SourceError):
                    raise meant
                return meant
            if response.status == 304 and known:
                return Answer(name, None, known)
            if response.status != 200:
                raise refused(response.status, response.headers.get("Retry-After"), self._clock())
            return Answer(name, await _text(response), _validators(response))

    def _opened(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise SourceUnavailableError("the reader is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._headers,
                # The one limit on time is asyncio.timeout in `ask`.
                timeout=aiohttp.ClientTimeout(total=None),
                connector=aiohttp.TCPConnector(force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def remember(self, name: str, answer: Answer) -> None:
        """The newest page of what was asked for by this name was read: the next time only a newer one is wanted."""
        self.forget(name)
        if answer.validators:
            self._seen[name.lower()] = answer.validators
        while len(self._seen) > MOST_REMEMBERED:
            self._seen.popitem(last=False)


class _Channel:
    """One channel's preview."""

    def __init__(self, preview: Preview, name: str) -> None:
        self._preview = preview
        self._name = name

    async def deliveries(self, position: int = 0) -> AsyncGenerator[Delivery, None]:
        """A page each: as `Source.deliveries`. The channel's name in a delivery is the one it has now."""
        if not _NAME.fullmatch(self._name):
            raise SourceGoneError("this is no name of a channel")
        name, before = self._name, max(position, 0)
        while True:
            answer = await self._preview.ask(name, before)
            if answer.html is None:
                return
            # A large page takes a while: others have their turn.
            page = await asyncio.to_thread(read_page, answer.html, answer.name)
            name, reached = answer.name, _position(page, before)
            if before == 0:
                self._preview.remember(self._name, answer)
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
    """Where the next older page begins; 0: a channel without any messages."""
    reached = min((number for number in (page.lowest, page.before) if number is not None), default=asked)
    if page.before is not None and asked and reached >= asked:
        raise SourceUnreadableError("the link to older posts does not lead to older ones")
    return reached


def _validators(response: aiohttp.ClientResponse) -> _Validators:
    """The headers that ask for a newer page only."""
    names = {"If-None-Match": "ETag", "If-Modified-Since": "Last-Modified"}
    found = {asked: response.headers.get(told, "") for asked, told in names.items()}
    return {asked: value for asked, value in found.items() if 0 < len(value) <= LONGEST_VALIDATOR and value.isascii()}


async def _text(response: aiohttp.ClientResponse) -> str:
    """The page, as far as it is one."""
    body = bytearray()
    async for piece in response.content.iter_chunked(PIECE):
        body += piece
        if len(body) > MOST_BYTES:
            raise SourceUnreadableError("the answer is larger than any page")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise SourceUnreadableError("the answer is not text in UTF-8") from None
