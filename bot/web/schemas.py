"""What the HTTP API answers, field by field.

What `services.library.api_queries` gives out is described here, and goes out as it is (`as_json`): a page of 1,000
posts that is built once more, and validated, keeps everybody waiting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.types import JsonValue
from pydantic_core import to_json
from starlette.responses import Response

from services.clock import to_utc
from services.following.service import Parsed
from services.ingest.store import MAX_MESSAGE_ID, MAX_VIEWS
from services.library import api_queries as lists
from services.library import cursor
from storage.posts.channel_posts import BOT_API_PREFIX as PREFIX

Status = Literal["pending", "success", "failed", "retrying", "skipped"]
#: Of one call.
MOST_POSTS = 1000
#: Always with an offset: Z.
Moment = Annotated[datetime, AfterValidator(to_utc)]


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Problem(_Answer):
    """Why a request was not done."""

    detail: str


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    loc: list[str | int] = Field(description="Where: query, path, header or body, then the field's name")
    msg: str
    type: str


class ValidationProblem(BaseModel):
    """Fields that cannot be understood."""

    detail: list[FieldProblem]


class StatsByStatus(_Answer):
    """Posts by status."""

    pending: int
    success: int
    failed: int
    retrying: int
    skipped: int


class TaggingStats(_Answer):
    """How far a user's posts are."""

    user_id: int
    total_posts: int
    posts_with_tags: int
    posts_without_tags: int = Field(description="total_posts less posts_with_tags")
    posts_need_retry: int = Field(description="failed or retrying, with attempts left")
    stats_by_status: StatsByStatus
    tagging_enabled: bool = Field(description="Whether there is a key for the models' provider")
    max_retry_attempts: int = Field(description="TAGGING_MAX_ATTEMPTS")


class RetryQueued(_Answer):
    """Posts were queued."""

    user_id: int
    status: Literal["queued"] = "queued"
    force_mode: bool
    requested_limit: int
    queued: int = Field(description="How many posts")
    message: str


class ParsedChannel(_Answer):
    """A channel that was to be fetched."""

    id: int = Field(description="channels.id")
    channel_username: str
    state: Literal["read", "queued", "failed"] = Field(description="queued: it is read within the next seconds")
    new_posts: int = Field(description="Those that came of it so far")
    problem: str | None = Field(description="gone, unreadable or unavailable")

    @classmethod
    def of(cls, one: Parsed) -> Self:
        """From what the service says."""
        state: Literal["read", "queued", "failed"] = "queued"
        if one.done:
            state = "failed" if one.problem else "read"
        return cls(id=one.channel_id, channel_username=one.name, state=state, new_posts=one.posts, problem=one.problem)


class ParseQueued(_Answer):
    """Channels are fetched."""

    user_id: int
    status: Literal["queued"] = "queued"
    channels_queued: int
    posts_queued: int = Field(description="New posts that came of it so far")
    channels: list[ParsedChannel]


class RegenerateQueued(_Answer):
    """A post was queued."""

    post_id: int
    status: Literal["queued"] = "queued"
    message: str


def _read_whole(value: object) -> object:
    """JSON knows no whole numbers: 5.0 is 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_WHOLE = BeforeValidator(_read_whole)


def _read_number(number: int) -> int:
    """Telegram's number of a channel as the Bot API gives it, also of the bare one."""
    full = -number - PREFIX if number > 0 else number
    if not -2 * PREFIX < full < -PREFIX:
        raise ValueError("no number of a channel: -100…, or what follows that")
    return full


def _read_moment(value: object) -> datetime:
    if not isinstance(value, str) or not re.fullmatch(cursor.MOMENT, value):
        raise ValueError("no time: ISO 8601, such as 2026-01-31T12:00:00Z")
    return cursor.read_moment(value)


_NUMBER = {"type": "integer", "description": "Telegram's number of the channel: -100…, or what follows that"}
_NUMBERS = [{"minimum": 1, "maximum": PREFIX - 1}, {"minimum": 1 - 2 * PREFIX, "maximum": -1 - PREFIX}]
_TIME = {
    "type": "string",
    "pattern": f"^{cursor.MOMENT}$",
    "description": "ISO 8601; without an offset it is UTC's",
    "examples": ["2026-01-31T12:00:00Z"],
}
_NAMED: list[JsonValue] = [
    {"required": ["channel_id"], "properties": {"channel_id": {"type": "integer"}}},
    {"required": ["channel_username"], "properties": {"channel_username": {"type": "string"}}},
]


class NewPost(BaseModel):
    """A post from another program: of a channel by its number, its public name, or both."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"anyOf": _NAMED})

    channel_id: Annotated[
        Annotated[int, _WHOLE] | None,
        AfterValidator(lambda number: number if number is None else _read_number(number)),
        WithJsonSchema({"anyOf": [*({**_NUMBER, **bounds} for bounds in _NUMBERS), {"type": "null"}]}),
    ] = None
    channel_username: Annotated[str, Field(pattern=r"^@?[A-Za-z][A-Za-z0-9_]{2,31}$")] | None = None
    channel_title: Annotated[str, Field(max_length=255)] | None = None
    telegram_message_id: Annotated[int, Field(ge=1, le=MAX_MESSAGE_ID), _WHOLE]
    text: Annotated[str, Field(max_length=65_536)] | None = Field(description="null: a post without text")
    posted_at: Annotated[datetime, BeforeValidator(_read_moment), WithJsonSchema(_TIME)]
    url: Annotated[str, Field(max_length=2048, pattern=r"^https?://[!-~]+$")] | None = None
    views: Annotated[int, Field(ge=0, le=MAX_VIEWS), _WHOLE] | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.channel_id is None and self.channel_username is None:
            raise ValueError("channel_id or channel_username is needed")
        return self


class NewPosts(BaseModel):
    """Posts from another program."""

    model_config = ConfigDict(extra="forbid", strict=True)

    posts: Annotated[list[NewPost], Field(min_length=1, max_length=MOST_POSTS)]

    @classmethod
    def described(cls) -> dict[str, Any]:
        """For the OpenAPI document: the whole schema in one piece."""
        schema = cls.model_json_schema()
        schema["properties"]["posts"]["items"] = schema.pop("$defs")["NewPost"]
        return schema


class TakenPost(_Answer):
    """What came of a post that was handed in."""

    telegram_message_id: int
    channel_id: int = Field(description="channels.id")
    post_id: int
    status: Literal["new", "known", "edited"]


class PostsTaken(_Answer):
    """Posts were stored."""

    user_id: int
    status: Literal["queued"] = "queued"
    received: int
    new: int
    known: int
    edited: int
    queued: int = Field(description="How many of them wait for tags now: new and changed ones with text")
    posts: list[TakenPost] = Field(description="In the order given")


@dataclass
class Post(lists.ListedPost):
    """A post as it stands."""

    channel_id: Annotated[int, Field(description="channels.id")]


@dataclass(frozen=True)
class Attempt(lists.ListedAttempt):
    """One request to a model for a post."""

    prompt_tokens: Annotated[
        int | None, Field(description="Of the whole request; on the first of its posts only, as cost")
    ]


@dataclass
class PostWithAttempts(Post):
    """A post, and the requests for it, the latest first."""

    attempts: list[Attempt]


class Posts(_Answer):
    """A page of posts, the newest first."""

    posts: list[Post]
    next: str | None = Field(description="`before` of the next page; null: this is the last")


@dataclass(frozen=True)
class User(lists.ListedUser):
    """Somebody who owns posts."""


class Users(_Answer):
    """A page of users by id."""

    users: list[User]
    next: int | None = Field(description="`after` of the next page; null: this is the last")


@dataclass(frozen=True)
class Channel(lists.ListedChannel):
    """A channel that a user follows, or has posts of."""

    channel_id: Annotated[int | None, Field(description="Telegram's id")]


class Channels(_Answer):
    """A user's channels."""

    channels: list[Channel]


@dataclass(frozen=True)
class Tag(lists.TagCount):
    """A tag, and how many posts have it."""


class Tags(_Answer):
    """A user's tags, the most frequent first."""

    tags: list[Tag]


class Health(_Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"


class DatabaseCheck(_Answer):
    """The database; `migrated`: its tables are those of this version."""

    ok: bool
    migrated: bool


class TelegramCheck(_Answer):
    """Telegram, as the bot's last call found it. `standby`: another process leads, and talks to it."""

    state: Literal["ok", "failing", "starting", "standby"]
    since: Moment | None


class ProviderCheck(_Answer):
    """The models' provider. A pause is no fault: posts wait."""

    state: str = Field(description="open, paused, limited, down or disabled")
    until: Moment | None


class Readiness(_Answer):
    """Whether the process can do its work, and what it needs for that."""

    status: Literal["ready", "unready"]
    database: DatabaseCheck
    telegram: TelegramCheck
    provider: ProviderCheck | None = Field(description="null while the database is away")


def as_json(value: Any) -> Response:
    """The answer of an operation whose `response_model` describes the value."""
    return Response(to_json(value), media_type="application/json")


def problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The documented errors of an operation: these, and parameters that cannot be understood."""
    fields: dict[int | str, dict[str, Any]] = {422: {"model": ValidationProblem, "description": "The fields at fault"}}
    return {code: {"model": Problem, "description": _PROBLEMS[code]} for code in codes} | fields


_PROBLEMS = {
    401: "No token, or one that is not known",
    403: "Not yours to do",
    404: "No such user or post",
    413: "The body is too large",
    429: "Too many requests: try again after Retry-After seconds",
    503: "Tagging is disabled, or the database does not answer, or too much is asked at once",
}
