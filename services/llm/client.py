"""The HTTP client of one OpenAI-compatible server: one request → one outcome a post."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
import structlog

from services.llm.request import request_body
from services.llm.response_classifier import (
    Classified,
    Kind,
    Outcome,
    Reply,
    Usage,
    classify,
    connection_failed,
    timed_out,
)

log = structlog.get_logger(__name__)

#: An answer larger than this is no list of tags.
MOST_BYTES = 1024 * 1024
KEY_SECONDS = 10.0

#: A shorter key is no secret but what somebody writes for a server that needs none.
SHORTEST_SECRET = 16


class Request(NamedTuple):
    """Posts' texts for one call, the model asked first, and `models` as sent (it first, at most three)."""

    texts: tuple[str, ...]
    models: tuple[str, ...]

    @property
    def model(self) -> str:
        """The model asked."""
        return self.models[0]


class Call(NamedTuple):
    """One request as it went: the outcomes in the order of its texts, and what `metka_attempts` keeps."""

    request: Request
    outcomes: tuple[Outcome, ...]
    answered: str | None
    status: int | None
    seconds: float
    usage: Usage
    at: datetime

    @property
    def outcome(self) -> Outcome:
        """What the request came to as a whole: tags if it gave any post some."""
        first = self.outcomes[0]
        # Asked five times a request, and nearly always that simple.
        if first.kind is Kind.TAGGED:
            return first
        return next((outcome for outcome in self.outcomes if outcome.kind is Kind.TAGGED), first)


class Provider:
    """Asks one server. Use as an async context manager: it holds one HTTP session.

    OpenRouter's extras (`models`, plugins) go along only with a key; what a server answers 400 or 404 to is
    left out from then on: the extras for good, `response_format` for the model that refused it.
    """

    def __init__(self, base_url: str, key: str, timeout_seconds: float, clock: Callable[[], datetime]) -> None:
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._headers = {"X-Title": "Metka", "Accept-Encoding": "identity"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._secret = key.encode() if len(key) >= SHORTEST_SECRET else b""
        self._timeout = timeout_seconds
        self._clock = clock
        self._key_url = f"{base_url.rstrip('/')}/key"
        self.extras = bool(key)
        #: Whether the server is still to be asked for `GET /key`.
        self.tells_key = bool(key)
        self._unstructured: set[str] = set()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # The one limit on time is asyncio.timeout in `ask`: two of them would fight.
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None),
            # A connection per request: a late answer can then never be read as the next request's.
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, request: Request) -> Call:
        """One call to chat/completions. Never raises for what a server or a network can do."""
        sent_extras = self.extras
        structured = request.model not in self._unstructured
        started = time.monotonic()
        body = request_body(request.texts, request.models, structured=structured, extras=sent_extras)
        reply, failure = await self._post(body)
        if reply is None:
            classified = Classified((failure or connection_failed("unknown"),) * len(request.texts))
        else:
            classified = classify(reply, request.texts, self._clock())
            classified = self._learn(request, reply, classified, extras=sent_extras, structured=structured)
        return Call(
            request=request,
            outcomes=classified.outcomes,
            answered=classified.model,
            status=reply.status if reply else None,
            seconds=time.monotonic() - started,
            usage=classified.usage,
            at=self._clock(),
        )

    async def key(self) -> Any:
        """The JSON of `GET /key`; None when the server did not give it. It costs no request of any quota."""
        if self._session is None:
            raise RuntimeError("use the provider as an async context manager")
        try:
            async with (
                asyncio.timeout(min(self._timeout, KEY_SECONDS)),
                self._session.get(self._key_url, allow_redirects=False) as response,
            ):
                self.tells_key = response.status not in {400, 404, 405, 501}
                body = await _read_capped(response)
                return json.loads(body) if response.status == 200 else None
        except (aiohttp.ClientError, OSError, ValueError, RecursionError, _TooLargeError) as error:
            log.info("key_not_told", error=type(error).__name__)
            return None

    async def _post(self, sent: bytes) -> tuple[Reply | None, Outcome | None]:
        if self._session is None:
            raise RuntimeError("use the provider as an async context manager")
        try:
            async with (
                asyncio.timeout(self._timeout),
                # A redirect would carry the texts, and perhaps the key, to another host.
                self._session.post(
                    self._url, data=aiohttp.BytesPayload(sent, content_type="application/json"), allow_redirects=False
                ) as response,
            ):
                body = await _read_capped(response)
                return Reply(response.status, response.headers, self._without_key(body)), None
        except TimeoutError:
            return None, timed_out(self._timeout)
        except _TooLargeError:
            return None, Outcome(Kind.MALFORMED, "no usable answer (larger than 1 MiB)")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return None, connection_failed(type(error).__name__)

    def _without_key(self, body: bytes) -> bytes:
        """The body, of which parts are kept: a proxy's error page may show the request's headers."""
        return body.replace(self._secret, b"[key]") if self._secret else body

    def _learn(
        self, request: Request, reply: Reply, classified: Classified, *, extras: bool, structured: bool
    ) -> Classified:
        """Drop what the server may have refused, so that the next request goes without it.

        A plain 404 (no word of a model) from a server that got extras is taken for their refusal.
        """
        kind = classified.outcomes[0].kind
        if kind not in {Kind.MODEL_GONE, Kind.UNSUPPORTED}:
            return classified
        body = reply.body[:4096].decode("utf-8", "replace").lower()
        if kind is Kind.MODEL_GONE and reply.status == 404 and extras and not _speaks_of_a_model(body, request):
            kind = Kind.UNSUPPORTED
        if kind is not Kind.UNSUPPORTED:
            return classified
        learnt = self._drop(request.model, body, extras=extras, structured=structured)
        if learnt is None:
            outcome = Outcome(Kind.REFUSED, classified.outcomes[0].reason)
        else:
            log.info("provider_feature_dropped", model=request.model, feature=learnt)
            outcome = Outcome(Kind.UNSUPPORTED, f"{classified.outcomes[0].reason}: {learnt}")
        return Classified((outcome,) * len(request.texts), classified.model, classified.usage)

    def _drop(self, model: str, body: str, *, extras: bool, structured: bool) -> str | None:
        names_format = any(word in body for word in ("response_format", "json_schema", "structured"))
        if structured and (names_format or not extras):
            self._unstructured.add(model)
            return "response_format"
        # Judged by what this request carried: another one may have dropped it for all meanwhile.
        if extras:
            self.extras = False
            return "models, plugins"
        return None


def _speaks_of_a_model(body: str, request: Request) -> bool:
    return "model" in body or "endpoint" in body or "availability" in body or request.model.lower() in body


class _TooLargeError(Exception):
    """The answer passed MOST_BYTES."""


async def _read_capped(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := await response.content.readany():
        size += len(chunk)
        if size > MOST_BYTES:
            raise _TooLargeError
        chunks.append(chunk)
    return b"".join(chunks)
