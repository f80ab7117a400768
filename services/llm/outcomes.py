from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """As stored in `metka_attempts.outcome`."""

    TAGGED = "tagged"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    NETWORK = "network"
    EMPTY = "empty"
    MALFORMED = "malformed"
    LIMITED = "limited"
    ACCOUNT = "account"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"
    MODEL_GONE = "model_gone"
    #: The next request to the server goes without a feature, or with another token budget.
    UNSUPPORTED = "unsupported"


#: Upstream faults: a short wait may mend them. An empty answer is often a model's cold start.
DOWN_KINDS = frozenset({Kind.SERVER_ERROR, Kind.TIMEOUT, Kind.NETWORK, Kind.EMPTY})


@dataclass(frozen=True, slots=True)
class Limit:
    """The platform's rate limit as a 429 states it, for a minute or a day."""

    requests: int
    daily: bool


class Outcome(NamedTuple):
    """What one request gave one post. `reason` is in plain words and holds no secret."""

    kind: Kind
    reason: str = ""
    tags: tuple[str, ...] = ()
    until: datetime | None = None
    #: A limit or an account fault of the platform, not of one model.
    platform: bool = False
    limit: Limit | None = None
    #: The beginning of an answer that could not be read, or the server's own words about an error.
    excerpt: str | None = None
    #: Another post's text decided on this answer, or this post's text on others': the next request is about it alone.
    alone: bool = False
    #: The text put its tags on other posts: each further request about it is about it alone.
    gave_orders: bool = False


class Usage(NamedTuple):
    """Tokens, and credits where the provider names them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
