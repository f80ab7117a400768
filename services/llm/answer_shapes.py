"""PURE: the JSON values of an answer → candidate tags by post number, in any shape that models use."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from services.llm.json_extraction import DOUBLED

_TAGS_KEYS = ("tags", "теги", "тэги", "keywords")
_POSTS_KEYS = ("posts", "results", "items", "посты")
_NUMBER_KEYS = ("id", "number", "post", "post_id")
_NUMBER = re.compile(r"(?:(?:post|пост)\s{0,3})?#?(\d{1,6})", re.IGNORECASE)
_NESTING = 3

#: Candidate tags by post number; None: the number came more than once.
Candidates = dict[int, list[str] | None]


def candidates_in(values: list[object], count: int) -> Iterator[Candidates]:
    """The candidates of each value: later values before earlier ones, bare arrays last.

    Objects that hold one post each count as one more value.
    """
    if count > 1 and len(values) > 1:
        values = [*values, [value for value in values if isinstance(value, dict) and _number_of(value)]]
    last_first = values[::-1]
    bare = [value for value in last_first if count == 1 and isinstance(value, list)]
    for value in [value for value in last_first if not (count == 1 and isinstance(value, list))] + bare:
        found = _single(value, _NESTING) if count == 1 else _numbered(value)
        if found is not None:
            yield found


def _single(value: object, nesting: int) -> Candidates | None:
    if isinstance(value, list):
        return _single_list(value, nesting)
    if not isinstance(value, dict) or nesting == 0:
        return None
    key = _key_of(value, _TAGS_KEYS)
    if key is not None:
        return {} if _other_number(value) else {1: _strings(value[key])}
    inner = [(name, item) for name, item in value.items() if isinstance(item, list | dict)]
    if len(inner) != 1 or _as_number(inner[0][0]) not in (None, 1):
        return None
    return _single(inner[0][1], nesting - 1)


def _single_list(items: list[object], nesting: int) -> Candidates | None:
    posts = [item for item in items if isinstance(item, dict)]
    if not posts:
        only = items[0] if len(items) == 1 else None
        return _single_list(only, nesting - 1) if isinstance(only, list) and nesting else {1: _strings(items)}
    if any(_key_of(post, _TAGS_KEYS) for post in posts):
        found = [post for post in posts if not _other_number(post)]
        return _single(found[0], nesting - 1) if len(found) == 1 and nesting else {1: None} if found else {}
    return {1: _strings(items)}


def _other_number(post: dict[str, object]) -> bool:
    return _key_of(post, _NUMBER_KEYS) is not None and _number_of(post) != 1


def _numbered(value: object) -> Candidates | None:
    pairs = _pairs(value)
    if not pairs:
        return None
    times = Counter(number for number, _ in pairs)
    return {number: _strings(tags) if times[number] == 1 else None for number, tags in pairs}


def _pairs(value: object) -> list[tuple[int, object]]:
    if isinstance(value, list):
        posts = [post for post in value if isinstance(post, dict)]
        return [(number, _tags_of(post)) for post in posts if (number := _number_of(post)) is not None]
    if not isinstance(value, dict):
        return []
    number = _number_of(value)
    if number is not None:
        return [(number, _tags_of(value))]
    key = _key_of(value, _POSTS_KEYS)
    inner = [item for item in value.values() if isinstance(item, list | dict)]
    if key is not None or (len(inner) == 1 and _as_number(next(iter(value))) is None):
        return _pairs_within(value[key] if key is not None else inner[0])
    return _pairs_by_key(value)


def _pairs_within(value: object) -> list[tuple[int, object]]:
    if isinstance(value, dict) and _number_of(value) is None:
        return _pairs_by_key(value)
    return _pairs(value) if isinstance(value, list) else []


def _pairs_by_key(value: dict[str, object]) -> list[tuple[int, object]]:
    found = [(_as_number(name), item) for name, item in value.items()]
    return [
        (number, _tags_of(item) if isinstance(item, dict) else item) for number, item in found if number is not None
    ]


def _tags_of(post: dict[str, object]) -> object:
    key = _key_of(post, _TAGS_KEYS)
    return post[key] if key is not None else None


def _number_of(post: dict[str, object]) -> int | None:
    key = _key_of(post, _NUMBER_KEYS)
    return _as_number(post[key]) if key is not None else None


def _as_number(value: object) -> int | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value) if abs(value) < 1e6 and value == int(value) else None
    match = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(match[1]) if match else None


def _key_of(value: dict[str, object], names: Sequence[str]) -> str | None:
    keys = {key.strip().lower(): key for key in value}
    return next((keys[name] for name in names if name in keys), None)


def _strings(value: object) -> list[str] | None:
    """The strings of a list, or one text; None if the key was doubled. Objects may hold one each."""
    if value is DOUBLED:
        return None
    if isinstance(value, str):
        return [value]
    items = value if isinstance(value, list) else []
    return [text for item in items if isinstance(text := _string_of(item), str)]


def _string_of(item: object) -> object:
    if not isinstance(item, dict):
        return item
    key = _key_of(item, ("tag", "name", "тег"))
    return item[key] if key is not None else None
