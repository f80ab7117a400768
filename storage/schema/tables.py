"""The parser's tables under its own names, and Metka's (`metka_…`), whose references to the parser's rows cascade.

Only columns that every installation of the parser has are mapped; see `parser_tables` for optional ones.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, MetaData, SmallInteger, String, Text
from sqlalchemy import text as sql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from storage.schema.index_conditions import (
    DUE_AT,
    PARSER_VERDICT,
    QUEUED,
    REUSABLE,
    TAGGED_UNFINISHED,
    TROUBLED,
    UNCOUNTED,
    UNFINISHED,
    WAITS,
)
from storage.schema.types import TagList, UtcDateTime

# SQLite numbers rows by itself only if the type is exactly INTEGER.
BigKey = BigInteger().with_variant(Integer, "sqlite")

#: Why a post is skipped: it may say something, but what cannot be read.
UNSUPPORTED = "unsupported"
#: Why a post is skipped: it came with a whole account's export, and its user has not agreed to its tagging.
PERSONAL = "personal"


def partial_index(name: str, *columns: Any, where: str) -> Index:
    """A partial index, only described: the migrations create it. A dialect's own argument would import the dialect."""
    return Index(name, *columns, info={"where": where})


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention={"ix": "ix_%(column_0_label)s", "pk": "pk_%(table_name)s"})


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    telegram_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    username: Mapped[str | None] = mapped_column(String)
    first_name: Mapped[str | None] = mapped_column(String)
    last_name: Mapped[str | None] = mapped_column(String)
    created_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    is_active: Mapped[bool | None] = mapped_column(default=True, server_default=sql("true"))


class Channel(Base):
    __tablename__ = "channels"

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_username: Mapped[str] = mapped_column(String, unique=True)
    channel_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    channel_title: Mapped[str | None] = mapped_column(String)
    created_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class UserChannel(Base):
    __tablename__ = "user_channel"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True)
    is_active: Mapped[bool | None] = mapped_column(default=True, server_default=sql("true"))
    created_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_parsed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Post(Base):
    """A post, and its place in the queue: the table is the queue."""

    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id"))
    telegram_message_id: Mapped[int] = mapped_column(BigInteger)
    text: Mapped[str | None] = mapped_column(Text)
    views: Mapped[int | None]
    url: Mapped[str | None] = mapped_column(String)
    posted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    parsed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    tags: Mapped[list[str] | None] = mapped_column(TagList)
    enriched_content: Mapped[str | None] = mapped_column(Text)

    tagging_status: Mapped[str | None] = mapped_column(String, server_default="pending")
    tagging_attempts: Mapped[int | None] = mapped_column(server_default="0")
    last_tagging_attempt: Mapped[datetime | None] = mapped_column(UtcDateTime)
    tagging_error: Mapped[str | None] = mapped_column(Text)

    #: When the post is due again; NULL: at once.
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Order of work (`storage.queue.claim.Priority`); NULL: a fresh row, as the parser inserts it.
    work_class: Mapped[int | None] = mapped_column(SmallInteger)
    #: When a person or the API asked for (new) tags; a post that has tags is worked on only if this is set.
    requested_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Random token of the claim; a result is written only while the row still has it.
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Requests of the attempt under way and models that refused the post (JSON, `services.tagging.retry_policy.Trail`).
    attempt_trail: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    #: The post waits for the provider: it is due with the first answer after a pause. Without `attempt_trail` the last
    #: attempt is in doubt: its failure may not be the post's own.
    waits_for_upstream: Mapped[bool | None]
    #: The post's last request ended in an upstream fault: the next one is a retry.
    after_fault: Mapped[bool | None]
    #: Other posts were served after this one met an upstream fault: its faults may be its own.
    suspect: Mapped[bool | None]
    #: Why it failed: 'refused' (no model accepts the post) or 'exhausted' (attempts used up). Why it is skipped:
    #: UNSUPPORTED, PERSONAL, 'off' (by its owner's rules), or None without text. Why it succeeded without tags:
    #: 'none_fits' (none of its owner's).
    failure_kind: Mapped[str | None] = mapped_column(String(16))
    nightly_retries: Mapped[int | None] = mapped_column(SmallInteger)
    skipped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Key of the text that was tagged (`services.tags.text_equality.text_key`).
    text_key: Mapped[int | None] = mapped_column(BigInteger)
    #: New tags were asked for, not these or those of a post with equal text.
    wants_new: Mapped[bool | None]
    media_group_id: Mapped[str | None] = mapped_column(String(64))
    #: When the message was seen to be deleted in its channel.
    gone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: `tags` as text when they were counted in the user's vocabulary.
    counted_tags: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index("ix_metka_posts_user_channel", "user_id", "channel_id"),
        # A user's counts by status, and posts of one status; 'success' is the rest.
        partial_index(
            "ix_metka_posts_unfinished",
            "user_id",
            "tagging_status",
            "posted_at",
            "id",
            "next_attempt_at",
            where=UNFINISHED,
        ),
        partial_index("ix_metka_posts_tagged_unfinished", "user_id", where=TAGGED_UNFINISHED),
        partial_index("ix_metka_posts_troubled", "tagging_status", "posted_at", "id", where=TROUBLED),
        partial_index(
            "ix_metka_posts_queue",
            sql("coalesce(work_class, 1)"),
            "user_id",
            sql("posted_at DESC"),
            sql(DUE_AT),
            where=QUEUED,
        ),
        partial_index("ix_metka_posts_due", sql(DUE_AT), where=QUEUED),
        partial_index("ix_metka_posts_uncounted", "id", where=UNCOUNTED),
        partial_index("ix_metka_posts_waits", "next_attempt_at", where=WAITS),
        Index("ix_metka_posts_message", "channel_id", "telegram_message_id"),
        partial_index("ix_metka_posts_text_key", "text_key", "id", where=REUSABLE),
        # Pages of a user's posts; with tags on SQLite, where index entries may be long.
        Index("ix_metka_posts_user_posted", "user_id", "posted_at", "id").ddl_if(dialect="postgresql"),
        Index("ix_metka_posts_user_tags", "user_id", "posted_at", "id", "tags").ddl_if(dialect="sqlite"),
        # `parser_tables.adopt_parser_verdicts`; nearly always empty.
        partial_index("ix_metka_posts_parser_verdict", "tagging_status", where=PARSER_VERDICT),
    )


class Attempt(Base):
    """A request for a post and its outcome. Pruned after 30 days."""

    __tablename__ = "metka_attempts"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"))
    #: Shared by the posts that went in one request; tokens and cost stand on its first row only.
    request_id: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    model_asked: Mapped[str] = mapped_column(String(200))
    model_answered: Mapped[str | None] = mapped_column(String(200))
    outcome: Mapped[str] = mapped_column(String(32))
    http_status: Mapped[int | None]
    seconds: Mapped[float]
    prompt_tokens: Mapped[int | None]
    completion_tokens: Mapped[int | None]
    cost: Mapped[float | None]
    error: Mapped[str | None] = mapped_column(Text)
    #: The first 1,000 characters of a malformed answer.
    answer: Mapped[str | None] = mapped_column(Text)
    #: On the request that ended an attempt: 'tagged', 'retrying' or 'failed'; NULL if the provider as a whole was down.
    ended: Mapped[str | None] = mapped_column(String(16))

    __table_args__ = (
        Index("ix_metka_attempts_post", "post_id", "id"),
        Index("ix_metka_attempts_outcome_at", "outcome", "at"),
        Index("ix_metka_attempts_at", "at"),
        partial_index("ix_metka_attempts_ended", "at", "ended", "outcome", where="ended IS NOT NULL"),
    )


class ModelStateRow(Base):
    """A model's circuit breaker: set aside until when, and why. Shared by all processes."""

    __tablename__ = "metka_upstream"

    model: Mapped[str] = mapped_column(String(200), primary_key=True)
    aside_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str | None] = mapped_column(String(16))
    detail: Mapped[str | None] = mapped_column(Text)
    since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    faults: Mapped[int] = mapped_column(server_default="0")
    pauses: Mapped[int] = mapped_column(server_default="0")
    #: A process's probe may be under way until then; no other is sent.
    probe_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RateLimitRow(Base):
    """A rate limit and daily quota of the provider, for the requests it counts together. Shared by all processes."""

    __tablename__ = "metka_budget"

    #: 'free' (all free models of OpenRouter), 'all' (TAGGING_REQUESTS_PER_MINUTE is a number), or a model.
    lane: Mapped[str] = mapped_column(String(200), primary_key=True)
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Requests a minute as the provider said, and when it did.
    per_minute: Mapped[int | None]
    learnt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: The day (UTC, as 2026-01-31) that `day_used` counts; the day's quota, if it is known.
    day: Mapped[str | None] = mapped_column(String(10))
    day_used: Mapped[int] = mapped_column(server_default="0")
    day_limit: Mapped[int | None]
    #: Whether the provider stated `day_limit`; else it follows from the kind of account, and may be another.
    day_limit_stated: Mapped[bool | None]
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Person(Base):
    """A person who wrote to the bot or gets messages from it: access, reachability, personal settings."""

    __tablename__ = "metka_people"

    telegram_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    language: Mapped[str | None] = mapped_column(String(8))
    name: Mapped[str | None] = mapped_column(String)
    username: Mapped[str | None] = mapped_column(String)
    #: NULL: nothing asked; 'asked', 'approved', 'declined': a stranger's request and its answer.
    access: Mapped[str | None] = mapped_column(String(16))
    #: NULL: not known; False: blocked the bot or never started it.
    reachable: Mapped[bool | None]
    told: Mapped[bool] = mapped_column(server_default=sql("false"))
    last_notice_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: A name of the IANA time zone database; NULL: the setting TIMEZONE.
    time_zone: Mapped[str | None] = mapped_column(String(64))
    #: The local hours (0–23) between which no message makes a sound or is sent unasked; NULL: none.
    quiet_from: Mapped[int | None] = mapped_column(SmallInteger)
    quiet_until: Mapped[int | None] = mapped_column(SmallInteger)
    #: How they hear of failed posts: NULL (each), 'digest', 'off'.
    notices: Mapped[str | None] = mapped_column(String(8))
    #: Where notices go; NULL: the private chat.
    notice_chat_id: Mapped[int | None] = mapped_column(BigInteger)
    notice_thread_id: Mapped[int | None]
    #: NULL (off), 'daily', 'weekly' (on Mondays).
    digest: Mapped[str | None] = mapped_column(String(8))
    #: The local hour (0–23) of the digest; NULL: 9.
    digest_hour: Mapped[int | None] = mapped_column(SmallInteger)
    #: The end of the time that the last digest covers.
    digest_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ChannelOwner(Base):
    """A channel where the bot is an administrator, and who added it there."""

    __tablename__ = "metka_channel_owners"

    telegram_channel_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    owner_telegram_id: Mapped[int] = mapped_column(BigInteger, index=True)
    title: Mapped[str | None] = mapped_column(String)
    username: Mapped[str | None] = mapped_column(String)
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Whether the bot may edit the channel's messages; NULL: not known.
    can_edit: Mapped[bool | None]
    #: Since when the tags of new posts are written into the channel; NULL: they are not.
    hashtags_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Whether the owner is told of each tagged post; NULL: no.
    tells_tagged: Mapped[bool | None]


class RetryRun(Base):
    """One /retry and the message that shows its progress."""

    __tablename__ = "metka_batches"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    telegram_id: Mapped[int] = mapped_column(BigInteger)
    chat_id: Mapped[int | None] = mapped_column(BigInteger)
    message_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Set when its message is final: done, stopped, or shown long enough.
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    stopped: Mapped[bool] = mapped_column(server_default=sql("false"))


class RetryRunPost(Base):
    """A post of a /retry and its values before; Stop restores them."""

    __tablename__ = "metka_batch_posts"

    batch_id: Mapped[int] = mapped_column(ForeignKey("metka_batches.id", ondelete="CASCADE"), primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True, index=True)
    previous_status: Mapped[str | None] = mapped_column(String)
    previous_next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    previous_attempts: Mapped[int | None]
    previous_work_class: Mapped[int | None] = mapped_column(SmallInteger)


class OutboxRow(Base):
    """A message to a person, kept until Telegram has accepted it.

    `kind`: 'failed' (a post failed), 'result' (the answer to /regen, a button or a forward), 'admin' (a text for
    administrators), 'channel' (news of a channel or an import), 'digest' (its period in
    `payload`), 'watch' (posts that a watch has found). 'result' and 'channel' edit `message_id` if it is set;
    'admin' and 'channel' say in `payload` what happened.
    """

    __tablename__ = "metka_outbox"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    telegram_id: Mapped[int] = mapped_column(BigInteger)
    post_id: Mapped[int | None] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"), index=True)
    chat_id: Mapped[int | None] = mapped_column(BigInteger)
    message_id: Mapped[int | None] = mapped_column(BigInteger)
    payload: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: When the message can be sent; NULL: the post has no outcome yet.
    ready_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    tries: Mapped[int] = mapped_column(server_default="0")
    error: Mapped[str | None] = mapped_column(Text)
    #: The lasting condition that a text for administrators is about ('pause', 'failing'); NULL when it is over.
    topic: Mapped[str | None] = mapped_column(String(32))
    #: The topic of a group that the message goes to.
    thread_id: Mapped[int | None]

    __table_args__ = (
        partial_index("ix_metka_outbox_topic", "topic", where="topic IS NOT NULL"),
        partial_index("ix_metka_outbox_ready", "ready_at", where="done_at IS NULL"),
    )


class TokenRow(Base):
    """A token of the HTTP API for one user's rows; only its hash is stored."""

    __tablename__ = "metka_tokens"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    #: The owner: a parser that deletes a user may leave the token behind, and SQLite reuses users.id.
    telegram_id: Mapped[int] = mapped_column(BigInteger)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    #: The token's first characters, for its owner.
    prefix: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ReceivedUpdateRow(Base):
    """An update from Telegram's webhook: stored, then acknowledged, then handled."""

    __tablename__ = "metka_updates"

    update_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    #: The update as it came (JSON); NULL once it was handled.
    body: Mapped[str | None] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: Rows are kept for a day after that, to recognise updates sent twice.
    handled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (partial_index("ix_metka_updates_waiting", "update_id", where="handled_at IS NULL"),)
