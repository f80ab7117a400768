"""The HTTP client of one OpenAI-compatible server: one request → one outcome a post."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
import structlog

from services.certificates import TRUST, certificate_fault
from services.llm import tag_pairs
from services.llm.features import ANSWER_LIMITS, OPENROUTER_FEATURES, Feature, FeatureMemory, named_in
from services.llm.outcomes import DOWN_KINDS, Kind, Outcome, Usage
from services.llm.prompts import Offer
from services.llm.rejected_texts import RejectedTexts
from services.llm.request import pairs_body, request_body
from services.llm.response_classifier import Classified, Reply, answer_text, classify
from services.llm.server_errors import ServerError
from services.llm.text_lengths import TextLengths
from services.proxies import DIRECT, Proxies
from services.tags.rules import NO_RULES, Rules

log = structlog.get_logger(__name__)

MOST_BYTES = 1024 * 1024
KEY_SECONDS = 10.0
REACHED_SECONDS = 5.0

#: A shorter key is a placeholder for a server that needs none, not a secret.
SHORTEST_SECRET = 16

#: Token budgets after answers that ended before they began, as multiples of the usual one.
_BUDGETS = (1, 4, 8)
_ADVICE = "the model's thinking used up the token budget"


class Request(NamedTuple):
    """Posts' texts, the model asked, those that OpenRouter may fall back to, the tags offered, the owner's rules."""

    texts: tuple[str, ...]
    models: tuple[str, ...]
    offers: tuple[Offer, ...] = ()
    rules: Rules = NO_RULES

    @property
    def model(self) -> str:
        return self.models[0]


class Call(NamedTuple):
    """One request as it went, and its outcomes in the order of its texts."""

    request: Request
    outcomes: tuple[Outcome, ...]
    answered: str | None
    status: int | None
    seconds: float
    usage: Usage
    at: datetime

    @property
    def outcome(self) -> Outcome:
        """The outcome of the whole request: tags if any post got some."""
        return next((outcome for outcome in self.outcomes if outcome.kind is Kind.TAGGED), self.outcomes[0])


class Provider:
    """Asks one server, as an async context manager that holds one HTTP session.

    OpenRouter's own fields (`models`, `plugins`) are sent only with a key. Other fields that the server refuses are
    learnt from its answers, and tried again after a day.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        timeout_seconds: float,
        clock: Callable[[], datetime],
        proxies: Proxies = DIRECT,
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._headers = {"X-Title": "Metka", "Accept-Encoding": "identity"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._secret = key.encode() if len(key) >= SHORTEST_SECRET else b""
        self._timeout = timeout_seconds
        self._clock = clock
        self._proxies = proxies
        self._key_url = f"{base_url.rstrip('/')}/key"
        self._models_url = f"{base_url.rstrip('/')}/models"
        self.extras = bool(key)
        self.tells_key = bool(key)
        self._features = FeatureMemory(Feature if key else set(Feature) - OPENROUTER_FEATURES)
        self._rejected = RejectedTexts()
        self._lengths = TextLengths()
        self._budgets: dict[str, int] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            # asyncio.timeout in `ask` is the only limit on time: two of them would fight.
            timeout=aiohttp.ClientTimeout(total=None),
            # A connection per request: a late answer can then never be read as the next request's.
            **self._proxies.session_options(self._url, limit=0, force_close=True),
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
        """One call to chat/completions. Faults of the server or the network are outcomes, never exceptions."""
        features = self._features.to_send(request.model, request.texts, self._clock())
        if Feature.MODELS not in features or len(request.models) == 1:
            features -= {Feature.MODELS}
            request = request._replace(models=request.models[:1])
        budget = self._budgets.get(request.model, _BUDGETS[0])
        started = time.monotonic()
        texts = self._lengths.cut(request.model, request.texts)
        body = request_body(texts, request.models, features, request.offers, request.rules, budget=budget)
        reply = await self._post(body)
        if isinstance(reply, Outcome):
            classified = Classified((reply,) * len(request.texts))
        else:
            classified = classify(reply, request.texts, self._clock(), request.rules)
            classified = self._learn(request, classified, features, budget)
        return Call(
            request=request,
            outcomes=classified.outcomes,
            answered=classified.model,
            status=reply.status if isinstance(reply, Reply) else None,
            seconds=time.monotonic() - started,
            usage=classified.usage,
            at=self._clock(),
        )

    async def similar(self, models: tuple[str, ...], names: Sequence[str]) -> list[tuple[int, int]] | None:
        """One call: the places (from 0) of pairs among these tags that mean the same; None: no usable answer."""
        features = self._features.to_send(models[0], names, self._clock())
        reply = await self._post(pairs_body(names, models, features))
        text = answer_text(reply) if isinstance(reply, Reply) else None
        return None if text is None else tag_pairs.read_pairs(text, len(names))

    async def key(self) -> Any:
        """The JSON of `GET /key`, which costs no quota; None when the server did not give it."""
        try:
            async with (
                asyncio.timeout(min(self._timeout, KEY_SECONDS)),
                self._opened().get(self._key_url, allow_redirects=False) as response,
            ):
                self.tells_key = response.status not in {400, 404, 405, 501}
                body = await _read_capped(response)
                return json.loads(body) if response.status == 200 else None
        except (aiohttp.ClientError, OSError, ValueError, RecursionError, _TooLargeError) as error:
            log.info("key_not_told", error=type(error).__name__)
            return None

    async def is_reached(self) -> bool:
        """Whether the server answers at all, without a request to a model. A refusal or a 404 is an answer, too."""
        urls = (self._models_url, self._key_url) if self.tells_key else (self._models_url,)
        try:
            async with asyncio.timeout(min(self._timeout, REACHED_SECONDS)):
                for url in urls:
                    async with self._opened().get(url, allow_redirects=False) as response:
                        if response.status >= 500 and response.status != 501:
                            return False
        except (aiohttp.ClientError, OSError, ValueError):
            return False
        return True

    async def _post(self, body: dict[str, Any]) -> Reply | Outcome:
        try:
            async with (
                asyncio.timeout(self._timeout),
                # A redirect would carry the texts, and perhaps the key, to another host.
                self._opened().post(self._url, json=body, allow_redirects=False) as response,
            ):
                received = await _read_capped(response)
                return Reply(response.status, response.headers, self._without_key(received))
        except TimeoutError:
            return Outcome(Kind.TIMEOUT, f"no answer within {self._timeout:g} s")
        except _TooLargeError:
            # Not the text's fault: the answer's length is limited in the request.
            return Outcome(Kind.SERVER_ERROR, "the answer is larger than 1 MiB")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if fault := certificate_fault(error):
                return Outcome(Kind.NETWORK, f"the server's certificate is refused ({fault}): {TRUST}")
            # The class only: the text may name an address.
            through = " through the proxy" if self._proxies.of(self._url) else ""
            return Outcome(Kind.NETWORK, f"connection failed{through} ({type(error).__name__})")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("use the provider as an async context manager")
        return self._session

    def _without_key(self, body: bytes) -> bytes:
        """A proxy's error page may show the request's headers, and parts of the body are stored."""
        return body.replace(self._secret, b"[key]") if self._secret else body

    def _learn(self, request: Request, classified: Classified, sent: frozenset[Feature], budget: int) -> Classified:
        """Remember which features the server takes, and judge an error by that."""
        if classified.out_of_tokens:
            return _for_all(request, classified, self._out_of_tokens(request.model, budget))
        error, first, now = classified.error, classified.outcomes[0], self._clock()
        named = _refused_features(error, first.kind) if error else frozenset()
        if classified.is_too_long and not named & sent:
            return _for_all(request, classified, self._too_long(request, first))
        if error is None:
            if first.kind not in DOWN_KINDS:
                self._accepted(request, sent)
            return classified
        if first.kind is not Kind.UNSUPPORTED and not named & sent:
            return classified
        left_out = self._features.refused(request.model, request.texts, sent, named, now)
        if left_out:
            log.info("request_not_accepted", model=request.model, next_without=sorted(left_out), error=first.reason)
        kind = Kind.UNSUPPORTED if left_out else self._rejected.kind(request.model, request.texts)
        return _for_all(request, classified, first._replace(kind=kind))

    def _accepted(self, request: Request, sent: frozenset[Feature]) -> None:
        self._rejected.accepted(request.model)
        guilty = self._features.accepted(request.model, request.texts, sent, self._clock())
        if guilty:
            log.info("provider_feature_left_out", model=request.model, features=sorted(guilty))

    def _too_long(self, request: Request, outcome: Outcome) -> Outcome:
        """Of several posts fewer are asked about (REFUSED splits them); of one a shorter text."""
        if len(request.texts) > 1 or not self._lengths.shorten(request.model, request.texts[0]):
            return outcome
        return outcome._replace(kind=Kind.UNSUPPORTED, reason=f"{outcome.reason} (its beginning alone is tried)")

    def _out_of_tokens(self, model: str, budget: int) -> Outcome:
        larger = next((each for each in _BUDGETS if each > budget), None)
        if larger is None:
            return Outcome(Kind.MALFORMED, f"no usable answer ({_ADVICE})")
        self._budgets[model] = max(larger, self._budgets.get(model, 0))
        return Outcome(Kind.UNSUPPORTED, f"no usable answer ({_ADVICE}: {larger} times as much is tried)")


def _refused_features(error: ServerError, kind: Kind) -> frozenset[Feature]:
    if kind is Kind.UNSUPPORTED or (kind is Kind.SERVER_ERROR and error.code in {500, 501}):
        return named_in(error)
    # Of a context that is too short for text and answer, the answer's limit goes first.
    return named_in(error) & ANSWER_LIMITS if kind is Kind.REFUSED else frozenset()


def _for_all(request: Request, classified: Classified, outcome: Outcome) -> Classified:
    return classified._replace(outcomes=(outcome,) * len(request.texts))


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
