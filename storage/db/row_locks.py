"""Rows of posts are locked by id: two who want the same ones in different orders would wait for each other."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, select

from storage.schema.tables import Post


def locked(condition: ColumnElement[bool]) -> Select[int]:
    """The ids of the posts for which it is true still when they are locked; on SQLite everything is."""
    return select(Post.id).where(condition).order_by(Post.id).with_for_update()
