import re
from dataclasses import dataclass

from services.library.cursor import MAX_ID
from services.library.message_links import MessageLink, read_link
from services.tagging.service import LIMITS

DEFAULT_LIMIT = 50


@dataclass(frozen=True, slots=True)
class RetryArguments:
    limit: int = DEFAULT_LIMIT
    force: bool = False
    everybody: bool = False


def parse_post(text: str | None) -> int | MessageLink | None:
    """From `12`, `#12`, or a link to a channel's message; None for anything else."""
    return parse_post_id(text) or read_link(text or "")


def parse_post_id(text: str | None) -> int | None:
    """From `12` or `#12`; None for anything else."""
    match = re.fullmatch(r"#?([0-9]{1,10})", (text or "").strip())
    number = int(match[1]) if match else 0
    return number if 1 <= number <= MAX_ID else None


def parse_tag(text: str | None) -> str | None:
    """A tag, with or without #; None if there is none."""
    return " ".join((text or "").lower().split()).lstrip("#") or None


def parse_tag_pair(text: str | None) -> tuple[str, str] | None:
    """From `one tag -> another`; None for anything else."""
    parts = [part.strip() for part in re.split(r"->|=>|→", text or "")]
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None


def parse_retry(text: str | None) -> RetryArguments | None:
    """None for anything but `[force [all]] [limit]` with a limit from 1 to 1000."""
    match = re.fullmatch(r"(?:(force)(?:\s+(all))?)?\s*([0-9]{1,4})?", (text or "").strip().lower())
    if match is None:
        return None
    limit = int(match[3] or DEFAULT_LIMIT)
    return RetryArguments(limit, bool(match[1]), bool(match[2])) if limit in LIMITS else None
