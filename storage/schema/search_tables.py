"""The search index: which words a post has. Triggers note the posts whose words have changed."""

import sqlalchemy as sa
from sqlalchemy import BigInteger
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from storage.schema.tables import Base, BigKey


class SearchState(Base):
    """One row while the index is on; triggers note changes only then."""

    __tablename__ = "metka_search_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: Posts from this id on are indexed; those below are yet to be.
    indexed_from: Mapped[int] = mapped_column(BigInteger)


class SearchChange(Base):
    """A post that was inserted, edited, tagged or deleted since it was indexed."""

    __tablename__ = "metka_search_changes"

    #: One row a change, not a post: a change made while its post is being indexed keeps a row of its own.
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    post_id: Mapped[int] = mapped_column(BigInteger)


#: On PostgreSQL a table of posts and their words, numbers both. On SQLite `metka_search` is an FTS5 table, whose rowid
#: is the post's id. Not among the models: the migration creates each.
SEARCH = sa.table("metka_search", sa.column("post_id", sa.Integer), sa.column("words", ARRAY(sa.Integer)))
