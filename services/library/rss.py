import html
import re
from datetime import UTC, datetime
from typing import cast

from feedgenerator import Rss201rev2Feed

from services.library.export import ExportedPost
from services.library.feeds import Feed

TITLE_LENGTH = 100
#: Characters that XML 1.0 does not allow (https://www.w3.org/TR/xml/#charsets).
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
WEB = ("https://", "http://")


class _Document(Rss201rev2Feed):  # type: ignore[misc]
    """Dated by the feed: the library would date an empty one by the current time, and change its ETag each time."""

    def latest_post_date(self) -> datetime:
        return cast("datetime", self.feed["changed_at"])


def document(feed: Feed, public_url: str, address: str, description: str) -> bytes:
    title = "Metka" if feed.tag is None else f"Metka: {_clean(feed.tag)}"
    made = _Document(
        title=title,
        link=public_url,
        description=_clean(description),
        feed_url=address,
        changed_at=feed.changed_at.astimezone(UTC),
    )
    for post in feed.posts:
        url = _clean(post.url or "")
        is_web = url.startswith(WEB)
        made.add_item(
            title=_title(post),
            link=url if is_web else public_url,
            description=_description(post),
            author_name=_channel(post) or None,
            pubdate=post.posted_at,
            unique_id=url if is_web else f"metka-post-{post.id}",
            unique_id_is_permalink=is_web,
            categories=[_clean(tag) for tag in post.tags],
        )
    return str(made.writeString("utf-8")).encode()


def _title(post: ExportedPost) -> str:
    lines = (" ".join(line.split()) for line in _clean(post.text or "").splitlines())
    first = next(filter(None, lines), None) or _channel(post) or f"#{post.id}"
    return first if len(first) <= TITLE_LENGTH else f"{first[: TITLE_LENGTH - 1].rstrip()}…"


def _channel(post: ExportedPost) -> str:
    return _clean(post.channel_title or post.channel_username or "")


def _description(post: ExportedPost) -> str:
    text = _clean(post.text or "").replace("\r\n", "\n").replace("\r", "\n")
    return html.escape(text).replace("\n", "<br>\n")


def _clean(text: str) -> str:
    return FORBIDDEN.sub("", text)
