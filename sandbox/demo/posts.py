"""The demo's channels and posts, and how the parser would have inserted them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sandbox.preview import PreviewSandbox

ANNA, BEN = 1001, 1002


@dataclass(frozen=True)
class DemoChannel:
    """A channel with its posts. The bot reads a public one; the posts of the others are inserted as by the parser."""

    id: int
    username: str
    title: str
    posts: list[str]
    #: Text → the tags that the model gives it.
    tags: dict[str, list[str]]
    is_public: bool = False

    @property
    def newest_id(self) -> int:
        """The number of the last post; posts are numbered from 1."""
        return len(self.posts)


def load_channels(language: str = "ru") -> list[DemoChannel]:
    """The channels that a person of this language reads: posts.en.json, or posts.ru.json."""
    name = "posts.ru.json" if language.startswith("ru") else "posts.en.json"
    source = (Path(__file__).parent / name).read_text(encoding="utf-8")
    return [_channel(**channel) for channel in json.loads(source)]


def _channel(posts: list[dict[str, Any]], **about: Any) -> DemoChannel:
    return DemoChannel(
        posts=[post["text"] for post in posts], tags={post["text"]: post["tags"] for post in posts}, **about
    )


def insert_people(path: Path, channels: Iterable[DemoChannel]) -> None:
    """Insert users, channels and subscriptions, with the parser's columns only."""
    now = _stamp(datetime.now(UTC))
    with closing(sqlite3.connect(path, timeout=10)) as db, db:
        for number, (telegram_id, username, name) in enumerate(
            ((ANNA, "anna_demo", "Anna"), (BEN, "ben_demo", "Ben")), start=1
        ):
            db.execute(
                "INSERT INTO users (id, telegram_id, username, first_name, last_name, created_at, is_active) "
                "VALUES (?, ?, ?, ?, NULL, ?, 1)",
                (number, telegram_id, username, name, now),
            )
        for number, channel in enumerate(channels, start=1):
            db.execute(
                "INSERT INTO channels (id, channel_username, channel_id, channel_title, created_at) "
                "VALUES (?, ?, ?, ?, ?)",
                (number, channel.username, channel.id, channel.title, now),
            )
            db.execute(
                "INSERT INTO user_channel (user_id, channel_id, is_active, created_at) VALUES (1, ?, 1, ?)",
                (number, now),
            )


def insert_posts(path: Path, channels: Iterable[DemoChannel]) -> int:
    """Insert Anna's posts as the parser does; returns how many."""
    rows = list(_rows(channels))
    with closing(sqlite3.connect(path, timeout=10)) as db, db:
        db.executemany(
            "INSERT INTO posts (user_id, channel_id, telegram_message_id, text, views, url, posted_at, parsed_at) "
            "VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
    return len(rows)


def _rows(channels: Iterable[DemoChannel]) -> Iterable[tuple[object, ...]]:
    now = datetime.now(UTC)
    for number, channel in enumerate(channels, start=1):
        for message_id, text in enumerate(channel.posts, start=1):
            posted = now - timedelta(hours=6 * (len(channel.posts) - message_id), minutes=7 * number)
            url = f"https://t.me/{channel.username}/{message_id}"
            yield number, message_id, text, 40 * message_id + number, url, _stamp(posted), _stamp(now)


def publish(preview: PreviewSandbox, channel: DemoChannel) -> None:
    """Publish a channel in the preview: a post every seven hours, the last one now."""
    now, page = datetime.now(UTC), preview.channel(channel.username, channel.title)
    for age, text in zip(reversed(range(len(channel.posts))), channel.posts, strict=True):
        page.post(text, posted_at=now - timedelta(hours=7 * age))


def tagged(path: Path, channel: DemoChannel) -> bool:
    """Whether all posts of a channel are tagged."""
    query = (
        "SELECT count(*) FROM posts JOIN channels ON channels.id = posts.channel_id "
        "WHERE channel_username = ? AND tagging_status = 'success'"
    )
    with closing(sqlite3.connect(path, timeout=10)) as db:
        return int(db.execute(query, (channel.username,)).fetchone()[0]) == len(channel.posts)


def counts(path: Path) -> dict[str, int]:
    """The number of posts by status."""
    with closing(sqlite3.connect(path, timeout=10)) as db:
        rows = db.execute("SELECT coalesce(tagging_status, 'pending'), count(*) FROM posts GROUP BY 1")
        return {str(status): int(count) for status, count in rows}


def post_by_text(path: Path, marker: str) -> tuple[int, str, str]:
    """Id, status and stored tags of the post that contains `marker`."""
    with closing(sqlite3.connect(path, timeout=10)) as db:
        row = db.execute(
            "SELECT id, tagging_status, coalesce(tags, '') FROM posts WHERE instr(text, ?) > 0", (marker,)
        ).fetchone()
    return int(row[0]), str(row[1]), str(row[2])


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")
