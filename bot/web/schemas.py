"""The JSON that the HTTP API takes and answers. Posts, users and channels are dataclasses of
`services.library.api_queries`."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.types import JsonValue

from services.clock import to_utc
from services.following.service import FetchResult
from services.ingest.store import MAX_MESSAGE_ID, MAX_VIEWS
from services.library import api_queries, cursor
from services.tags import user_rules
from services.tags.post_tags import MOST_ON_A_POST
from services.tags.rules import AS_POST, LONGEST_INSTRUCTION, MOST_TAGS, RuleSettings, languages
from services.tags.spelling import LONGEST_NAME
from storage.posts.channel_posts import BOT_API_PREFIX as PREFIX
from storage.tags.lists import TagCard

Status = Literal["pending", "success", "failed", "retrying", "skipped"]
MAX_POSTS = 1000
Moment = Annotated[datetime, AfterValidator(to_utc)]


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Problem(_Answer):
    """An error."""

    detail: str


class FieldProblem(BaseModel):
    """An error in one field."""

    loc: list[str | int] = Field(description="Where: query, path, header or body, then the field's name")
    msg: str
    type: str


class ValidationProblem(BaseModel):
    """Errors in the request's fields."""

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
    tagging_enabled: bool = Field(description="Whether OPENROUTER_API_KEY is set")
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
    """A public channel, and what came of fetching it."""

    id: int = Field(description="channels.id")
    channel_username: str
    state: Literal["read", "queued", "failed"] = Field(description="queued: read within the next seconds")
    new_posts: int = Field(description="Stored so far")
    problem: str | None = Field(description="gone, unreadable or unavailable")

    @classmethod
    def of(cls, one: FetchResult) -> Self:
        """Convert the service's result."""
        state: Literal["read", "queued", "failed"] = "queued"
        if one.done:
            state = "failed" if one.problem else "read"
        return cls(id=one.channel_id, channel_username=one.name, state=state, new_posts=one.posts, problem=one.problem)


class ParseQueued(_Answer):
    """Channels are being fetched."""

    user_id: int
    status: Literal["queued"] = "queued"
    channels_queued: int
    posts_queued: int = Field(description="New posts stored so far")
    channels: list[ParsedChannel]


class RegenerateQueued(_Answer):
    """A post was queued."""

    post_id: int
    status: Literal["queued"] = "queued"
    message: str


def _float_to_int(value: object) -> object:
    # In JSON Schema 5.0 is an integer; pydantic's strict mode refuses it.
    return int(value) if isinstance(value, float) and value.is_integer() else value


_INT_FROM_FLOAT = BeforeValidator(_float_to_int)


def _to_bot_api_id(number: int) -> int:
    # The Bot API's id (-100…) is kept; the bare id of Telegram's clients is converted.
    full = -number - PREFIX if number > 0 else number
    if not -2 * PREFIX < full < -PREFIX:
        raise ValueError("no number of a channel: -100…, or what follows that")
    return full


def _parse_moment(value: object) -> datetime:
    if not isinstance(value, str) or not re.fullmatch(cursor.MOMENT, value):
        raise ValueError("no time: ISO 8601, such as 2026-01-31T12:00:00Z")
    return cursor.read_moment(value)


_CHANNEL_ID = {"type": "integer", "description": "Telegram's number of the channel: -100…, or what follows that"}
_CHANNEL_IDS = [{"minimum": 1, "maximum": PREFIX - 1}, {"minimum": 1 - 2 * PREFIX, "maximum": -1 - PREFIX}]
_TIME = {
    "type": "string",
    "pattern": f"^{cursor.MOMENT}$",
    "description": "ISO 8601; without an offset it is UTC's",
    "examples": ["2026-01-31T12:00:00Z"],
}
_HAS_CHANNEL: list[JsonValue] = [
    {"required": ["channel_id"], "properties": {"channel_id": {"type": "integer"}}},
    {"required": ["channel_username"], "properties": {"channel_username": {"type": "string"}}},
]


class NewPost(BaseModel):
    """A post from another program: of a channel by its number, its public name, or both."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"anyOf": _HAS_CHANNEL})

    channel_id: Annotated[
        Annotated[int, _INT_FROM_FLOAT] | None,
        AfterValidator(lambda number: number if number is None else _to_bot_api_id(number)),
        WithJsonSchema({"anyOf": [*({**_CHANNEL_ID, **bounds} for bounds in _CHANNEL_IDS), {"type": "null"}]}),
    ] = None
    channel_username: Annotated[str, Field(pattern=r"^@?[A-Za-z][A-Za-z0-9_]{2,31}$")] | None = None
    channel_title: Annotated[str, Field(max_length=255)] | None = None
    telegram_message_id: Annotated[int, Field(ge=1, le=MAX_MESSAGE_ID), _INT_FROM_FLOAT]
    text: Annotated[str, Field(max_length=65_536)] | None = Field(description="null: a post without text")
    posted_at: Annotated[datetime, BeforeValidator(_parse_moment), WithJsonSchema(_TIME)]
    url: Annotated[str, Field(max_length=2048, pattern=r"^https?://[!-~]+$")] | None = None
    views: Annotated[int, Field(ge=0, le=MAX_VIEWS), _INT_FROM_FLOAT] | None = None

    @model_validator(mode="after")
    def _has_channel(self) -> Self:
        if self.channel_id is None and self.channel_username is None:
            raise ValueError("channel_id or channel_username is needed")
        return self


class NewPosts(BaseModel):
    """Posts from another program."""

    model_config = ConfigDict(extra="forbid", strict=True)

    posts: Annotated[list[NewPost], Field(min_length=1, max_length=MAX_POSTS)]

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """JSON Schema for the OpenAPI document, without $defs."""
        schema = cls.model_json_schema()
        schema["properties"]["posts"]["items"] = schema.pop("$defs")["NewPost"]
        return schema


class TakenPost(_Answer):
    """A post that was handed in: new, known, or its text changed."""

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
    queued: int = Field(description="New and changed posts with text, which now wait for tags")
    posts: list[TakenPost] = Field(description="In the order given")


class Users(_Answer):
    """A page of users by id."""

    users: list[api_queries.ListedUser]
    next: int | None = Field(description="`after` of the next page; null: this is the last")


class Channels(_Answer):
    """A user's channels."""

    channels: list[api_queries.ListedChannel]


class Tag(_Answer):
    """A tag, and how many of the user's posts have it."""

    id: int
    tag: str
    count: int
    state: Literal["offered", "hidden", "banned"] = Field(
        description="offered to models; hidden: not offered, but taken; banned: given to no post again"
    )

    @classmethod
    def of(cls, card: TagCard) -> Self:
        """Convert the service's card."""
        return cls.model_validate({"id": card.id, "tag": card.name, "count": card.uses, "state": card.state})


class Tags(_Answer):
    """A page of a user's tags, the most frequent first. `total`: of all pages."""

    tags: list[Tag]
    total: int


class TagChanged(_Answer):
    """A change of a tag, and the tag as it is now; of a merge the one that stays."""

    change_id: int
    tag: Tag


class PostTagsSet(_Answer):
    """A post's tags, in the user's own spellings."""

    post_id: int
    tags: list[str]


TagName = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewName(_Body):
    """A tag's new name."""

    name: TagName


class MergeInto(_Body):
    """The tag that stays, in any spelling."""

    into: TagName


class NewTags(_Body):
    """All tags of a post."""

    tags: Annotated[list[TagName], Field(max_length=MOST_ON_A_POST)]


def _with_languages(schema: dict[str, Any]) -> None:
    schema["enum"] = [AS_POST, *sorted(languages())]


class TagRules(BaseModel):
    """Rules for tags. null: as the user's own rules, or as at first."""

    model_config = ConfigDict(extra="forbid", strict=True, from_attributes=True)

    mode: Literal["free", "prefer", "only"] | None = Field(
        default=None, description="only: no tag that is not among the user's; prefer: new ones where none of them fits"
    )
    language: Annotated[str, Field(pattern=r"^(?:post|[a-z]{2})$", json_schema_extra=_with_languages)] | None = Field(
        default=None, description="post (the post's own), or a code of ISO 639-1"
    )
    most_tags: Annotated[int, Field(ge=1, le=MOST_TAGS), _INT_FROM_FLOAT] | None = None
    instruction: Annotated[str, Field(max_length=LONGEST_INSTRUCTION)] | None = Field(
        default=None, description="In one's own words, which tags to give"
    )
    hashtag_style: Literal["snake", "camel"] | None = Field(
        default=None, description="snake: #neural_networks; camel: #NeuralNetworks"
    )
    is_on: bool | None = Field(default=None, description="false: new posts are skipped")

    def settings(self) -> RuleSettings:
        """As the service takes them."""
        return RuleSettings(**self.model_dump())


class RulesInForce(_Answer):
    """What is set for a user, or for one of their channels, and what is in force with it."""

    user_id: int
    channel_id: int | None = Field(description="channels.id; null: the user's own rules")
    settings: TagRules
    in_force: TagRules

    @classmethod
    def of(cls, user_id: int, found: user_rules.RulesInForce) -> Self:
        """Convert the service's result."""
        channel_id = found.channel.id if found.channel else None
        rules = found.rules
        in_force = TagRules(
            mode=rules.mode.value,
            language=rules.language,
            most_tags=rules.most,
            instruction=rules.instruction,
            hashtag_style=rules.hashtag_style.value,
            is_on=rules.is_on,
        )
        return cls(user_id=user_id, channel_id=channel_id, settings=_as_set(found.settings), in_force=in_force)


def _as_set(settings: RuleSettings) -> TagRules:
    return TagRules.model_validate(settings, from_attributes=True)


class Health(_Answer):
    """The event loop answers."""

    status: Literal["ok"] = "ok"


class DatabaseCheck(_Answer):
    """The database. `migrated`: its tables are those of this version."""

    ok: bool
    migrated: bool


class TelegramCheck(_Answer):
    """The result of the bot's last call to Telegram. `standby`: another process talks to Telegram."""

    state: Literal["ok", "failing", "starting", "standby"]
    since: Moment | None


class ProviderCheck(_Answer):
    """The models' provider. Posts wait while it is paused."""

    state: str = Field(description="open, paused, limited, down or disabled")
    until: Moment | None


class Readiness(_Answer):
    """Whether the process can do its work, and the checks behind that."""

    status: Literal["ready", "unready"]
    database: DatabaseCheck
    telegram: TelegramCheck
    provider: ProviderCheck | None = Field(description="null while the database is away")


#: The documented errors of every operation that needs a token.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "No token, or one that is not known"},
    403: {"model": Problem, "description": "Not yours to do"},
    404: {"model": Problem, "description": "No such user or post"},
    413: {"model": Problem, "description": "The body is too large"},
    422: {"model": ValidationProblem, "description": "The fields at fault"},
    429: {"model": Problem, "description": "Too many requests: try again after Retry-After seconds"},
    503: {"model": Problem, "description": "Tagging is disabled, or the database does not answer"},
}
