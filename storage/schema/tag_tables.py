"""Tables of users' vocabularies, their changes and rules. References to the parser's rows cascade."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.schema.index_conditions import CHANGES_OPEN, TAGS_OFFERED
from storage.schema.tables import Base, BigKey, partial_index
from storage.schema.types import TagList, UtcDateTime

#: A longer tag of another program is in no vocabulary: PostgreSQL limits an index entry to 2.7 KB.
MOST_LETTERS = 200


class TagRow(Base):
    """A tag of a user's vocabulary. `posts.tags` holds names, which other programs read."""

    __tablename__ = "metka_tags"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    #: `services.tags.keys.tag_key`: equal for all spellings.
    key: Mapped[str] = mapped_column(Text)
    #: How the tag is shown.
    name: Mapped[str] = mapped_column(Text)
    #: Posts that have the tag, as far as they are counted.
    uses: Mapped[int] = mapped_column(server_default="0")
    last_use: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: 'model' or 'person'; 'parser': found in posts that another program tagged.
    origin: Mapped[str] = mapped_column(String(8))
    #: 'offered' (to models), 'hidden' (not offered, but taken), 'banned' (never on a post again).
    state: Mapped[str] = mapped_column(String(8), server_default="offered")
    #: The tag that this one is an alias of, never an alias itself. No foreign key: tags go only with their user.
    merged_into: Mapped[int | None] = mapped_column(BigInteger)
    #: Of the name; `metka_tag_stems` has a row for each.
    stem_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")

    __table_args__ = (
        Index("ix_metka_tags_key", "user_id", "key", unique=True),
        partial_index("ix_metka_tags_most_used", "user_id", "uses", where=TAGS_OFFERED),
        partial_index("ix_metka_tags_merged", "merged_into", where="merged_into IS NOT NULL"),
    )


class TagStem(Base):
    """A word stem of a tag's name, by which tags near to a text are found."""

    __tablename__ = "metka_tag_stems"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    stem: Mapped[str] = mapped_column(Text, primary_key=True)
    tag_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("metka_tags.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class TagChange(Base):
    """A change that a person made to their vocabulary: the journal from which Undo restores."""

    __tablename__ = "metka_tag_changes"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    #: 'rename', 'merge' or 'ban'.
    kind: Mapped[str] = mapped_column(String(8))
    tag_id: Mapped[int] = mapped_column(BigInteger)
    #: Of a merge: the tag that stays.
    into_id: Mapped[int | None] = mapped_column(BigInteger)
    #: What Undo restores: `services.tags.vocabulary.Before`.
    before: Mapped[dict[str, Any]] = mapped_column(JSON)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Under way, in portions: 'rewriting' posts, 'restoring' those of the journal, 'searching' for others with a name
    #: that was undone; NULL: nothing. Up to which post, and the last one looked at.
    step: Mapped[str | None] = mapped_column(String(12))
    until_post: Mapped[int]
    at_post: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (
        Index("ix_metka_tag_changes_tag", "user_id", "tag_id", "id"),
        partial_index("ix_metka_tag_changes_open", "id", where=CHANGES_OPEN),
    )


class TagChangePost(Base):
    """A post's tags before and after a change."""

    __tablename__ = "metka_tag_change_posts"

    change_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("metka_tag_changes.id", ondelete="CASCADE"), primary_key=True
    )
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True, index=True)
    before: Mapped[list[str]] = mapped_column(TagList)
    after: Mapped[list[str]] = mapped_column(TagList)


class HandMadeTag(Base):
    """A tag that a person added to a post or took off it; later answers neither drop it nor bring it back."""

    __tablename__ = "metka_hand_made_tags"

    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    #: Added, or taken off.
    is_added: Mapped[bool]
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class TagPair(Base):
    """Two tags that may mean the same: suggested to the person, who may say that they differ."""

    __tablename__ = "metka_tag_pairs"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    #: The lower id first.
    tag_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    other_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    #: 'suggested', 'different' or 'merged'.
    state: Mapped[str] = mapped_column(String(16))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class TagSuggestionRun(Base):
    """When a model was last asked for pairs of a user's tags."""

    __tablename__ = "metka_tag_suggestion_runs"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: The user's newest post then.
    until_post: Mapped[int]


class TagRules(Base):
    """A user's rules for tags, or those of one of their channels. NULL: as the user's, as the installation's."""

    __tablename__ = "metka_tag_rules"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    #: NULL: all channels of the user.
    channel_id: Mapped[int | None] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"), index=True)
    #: 'free', 'prefer' or 'only'.
    mode: Mapped[str | None] = mapped_column(String(8))
    #: An ISO code; 'post': the post's own.
    language: Mapped[str | None] = mapped_column(String(8))
    most_tags: Mapped[int | None] = mapped_column(SmallInteger)
    instruction: Mapped[str | None] = mapped_column(Text)
    #: 'snake' (#нейронные_сети) or 'camel' (#НейронныеСети).
    hashtag_style: Mapped[str | None] = mapped_column(String(8))
    is_on: Mapped[bool | None]
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_metka_tag_rules_scope", "user_id", "channel_id", unique=True),)
