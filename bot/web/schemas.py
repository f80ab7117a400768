"""What the HTTP API answers, field by field.

What `services.listing` gives out is described here, and goes out as it is (`as_json`): a page of 1,000 posts that is
built once more, and validated, keeps everybody waiting.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response

from services import listing
from services.channels import Parsed
from services.clock import to_utc

Status = Literal["pending", "success", "failed", "retrying", "skipped"]
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


@dataclass
class Post(listing.ListedPost):
    """A post as it stands."""

    channel_id: Annotated[int, Field(description="channels.id")]


@dataclass(frozen=True)
class Attempt(listing.ListedAttempt):
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
class User(listing.ListedUser):
    """Somebody who owns posts."""


class Users(_Answer):
    """A page of users by id."""

    users: list[User]
    next: int | None = Field(description="`after` of the next page; null: this is the last")


@dataclass(frozen=True)
class Channel(listing.ListedChannel):
    """A channel that a user follows, or has posts of."""

    channel_id: Annotated[int | None, Field(description="Telegram's id")]


class Channels(_Answer):
    """A user's channels."""

    channels: list[Channel]


@dataclass(frozen=True)
class Tag(listing.TagCount):
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
    429: "Too many requests: try again after Retry-After seconds",
    503: "Tagging is disabled, or the database does not answer, or too much is asked at once",
}
