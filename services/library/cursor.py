"""PURE: the `before` of a page of posts: a time, optionally with a post's id."""

import re
from datetime import UTC, datetime

from services.clock import to_utc

#: PostgreSQL's `integer`, the type of the parser's ids.
MAX_ID = 2**31 - 1
MOMENT = (
    r"[12][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-9]))"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[ +-]([01][0-9]|2[0-3]):[0-5][0-9])?)?"
)
CURSOR = rf"^{MOMENT}(_[0-9]{{1,10}})?$"
OLDEST, NEWEST = datetime(1000, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


def cursor_of(posted_at: datetime | None, post_id: int) -> str:
    # While the post exists, the query takes the time from its row; this one only has to match CURSOR.
    at = posted_at or OLDEST
    return f"{min(max(at, OLDEST), NEWEST).replace(tzinfo=None).isoformat()}Z_{post_id}"


def read_cursor(text: str) -> tuple[datetime, int | None]:
    """The time and the post's id. Raises ValueError if the text does not match CURSOR."""
    if not re.fullmatch(CURSOR, text):
        raise ValueError("before is neither a time nor the next of a page")
    at, _, number = text.partition("_")
    return read_moment(at), min(int(number), MAX_ID) if number else None


def read_moment(text: str) -> datetime:
    """A text that matches MOMENT → its time; UTC unless it has an offset."""
    # A plus that was not percent-encoded arrives as a blank.
    text = text.replace(" ", "+")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        # 29 February matches the pattern in every year.
        moment = datetime.fromisoformat(text.replace("-02-29", "-03-01"))
    return to_utc(moment)
