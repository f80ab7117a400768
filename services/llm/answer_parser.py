"""PURE: the tags of an answer, for each post or why there are none."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from services.llm.attribution import counted_otherwise, doubtful
from services.llm.json_extraction import DOUBLED, json_values, plain_list, without_thinking
from services.llm.prompts import rules, sendable
from services.tags.normalisation import MAX_TAGS, MAX_WORDS, PIECE_LIMIT, clean_tags

NOTHING = "an empty answer"
ONLY_THINKING = "nothing but thinking"
NO_LIST = "no JSON and no list"
NO_TAGS_KEY = "JSON without tags"
REFUSAL = "a refusal"
ECHO_PROMPT = "an echo of the prompt"
ECHO_POST = "an echo of the post"
NO_USABLE_TAG = "no usable tag"
MISSING = "number missing"
NUMBER_DOUBLED = "number doubled"
OTHER_NUMBERS = "numbered otherwise than asked"
ANOTHERS = "the tags of another post"

_WORD = re.compile(r"\w+")
_REFUSALS = re.compile(
    r"\b(?:i['’]?m|i am|we['’]?re) (?:very |so |really )?(?:sorry|unable|afraid|not able)\b"
    r"|\bsorry,? (?:but )?(?:i|we)\b"
    r"|\bi (?:cannot|can['’]?t|can not|won['’]?t|will not|am unable|must decline|must refuse)\b"
    r"|\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b"
    r"|\b(?:cannot|can['’]?t) (?:assist|help|comply|fulfil|provide|process)\b"
    r"|\b(?:извините|простите|к сожалению|прошу прощения)\b[\s,.!:—-]{0,5}(?:но )?(?:я|мы|не)\b"
    r"|\bя не (?:могу|буду|в состоянии|имею возможности)\b"
    r"|\bне (?:могу|можем|смогу) (?:помочь|выполнить|обработать|ответить|предоставить|обсуждать)"
    r"|\bкак (?:ии|языковая модель|искусственный интеллект)\b",
    re.IGNORECASE,
)
_TAGS_KEYS = ("tags", "теги", "тэги", "keywords")
_POSTS_KEYS = ("posts", "results", "items", "посты")
_NUMBER_KEYS = ("id", "number", "post", "post_id")
_NUMBER = re.compile(r"(?:(?:post|пост)\s{0,3})?#?(\d{1,6})", re.IGNORECASE)
_NESTING = 3
_ECHOED_WORDS = 4  # so many of the post's or the prompt's words on end are no tags
_ECHOED_POST_WORDS = 5


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer gave: clean tags (at least one) by post number, and for all other numbers the reason."""

    tags: dict[int, tuple[str, ...]]
    problems: dict[int, str]


# What an answer holds by post number, not yet judged; None: the number came more than once.
_Found = dict[int, list[str] | None]


def read_answer(content: str, count: int, texts: Sequence[str], finish_reason: str | None) -> Reading:
    """Read the tags of posts 1…`count`, whose texts are `texts`, out of whatever the model said. Never raises.

    Several posts are told apart by their numbers only, never by their order. When several JSON blocks hold
    tags, the last one counts: models draft first.
    """
    numbers = range(1, count + 1)
    answer = without_thinking(content)
    if not answer:
        return _all(numbers, ONLY_THINKING if content.strip() else NOTHING)
    values = json_values(answer, numbered=count > 1)
    cut = finish_reason == "length"
    first: Reading | None = None
    for found in _found_in(values, count):
        reading = _judged(found, count, texts, cut=cut)
        if reading.tags:
            return reading
        first = first or reading
    if first is not None:
        return first
    if count == 1:
        return _read_plain(answer, texts[0] if texts else "", finish_reason, has_json=bool(values))
    return _all(numbers, _why_nothing(answer, texts, has_json=bool(values)))


# --- what the JSON values mean --------------------------------------------------------------------------------


def _found_in(values: list[object], count: int) -> Iterator[_Found]:
    """What each value holds, the likeliest first: posts given one object each, objects, bare arrays; later
    ones before earlier ones.
    """
    if count > 1 and len(values) > 1:
        values = [*values, [value for value in values if isinstance(value, dict) and _number_of(value)]]
    last_first = values[::-1]
    bare = [value for value in last_first if count == 1 and isinstance(value, list)]
    for value in [value for value in last_first if not (count == 1 and isinstance(value, list))] + bare:
        found = _single(value, _NESTING) if count == 1 else _numbered(value)
        if found is not None:
            yield found


def _single(value: object, nesting: int) -> _Found | None:
    """The tags of the only post: under a key for tags, as the only list, or with the number 1."""
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


def _single_list(items: list[object], nesting: int) -> _Found | None:
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


def _numbered(value: object) -> _Found | None:
    """The tags of several posts, each under its number."""
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
    """`{"1": […]}`, also with `{"tags": […]}` under a number."""
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
    """The key of the object that is one of the names; the first name wins."""
    if len(value) == 1 and names[0] in value:
        return names[0]
    keys = {key.strip().lower(): key for key in value}
    return next((keys[name] for name in names if name in keys), None)


def _strings(value: object) -> list[str] | None:
    """The strings of a list, or a text as one; None if the key was doubled. Objects may hold one each."""
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


# --- judging --------------------------------------------------------------------------------------------------


def _judged(found: _Found, count: int, texts: Sequence[str], *, cut: bool = False) -> Reading:
    numbers = range(1, count + 1)
    if counted_otherwise(found, count):
        return _all(numbers, OTHER_NUMBERS)
    reading = Reading({}, {})
    for number in numbers:
        text = texts[number - 1] if number <= len(texts) else ""
        verdict = _verdict(found[number], text, count) if number in found else MISSING
        if isinstance(verdict, str):
            reading.problems[number] = verdict
        else:
            reading.tags[number] = verdict
    if count > 1:
        for number in doubtful(reading.tags, [sendable(text) for text in texts], cut=cut):
            del reading.tags[number]
            reading.problems[number] = ANOTHERS
    return reading


def _verdict(candidates: list[str] | None, text: str, count: int) -> tuple[str, ...] | str:
    """The clean tags, or why they are none."""
    if candidates is None:
        return NUMBER_DOUBLED
    # One word is no refusal: all of them have a space or a sign in them.
    if any(_REFUSALS.search(candidate[:PIECE_LIMIT]) for candidate in candidates if not candidate.isalnum()):
        return REFUSAL
    return _echo(candidates, text, count) or clean_tags(candidates) or NO_USABLE_TAG


def _echo(candidates: list[str], text: str, count: int) -> str | None:
    """Which text the candidates only repeat, if any."""
    said = [_words(_beginning(candidate)) for candidate in candidates[: MAX_TAGS * 3]]
    longest = max((item.count(" ") + 1 for item in said), default=0)
    if (longest > MAX_WORDS or _may_be_whole(said, text)) and _repeats_post(said, _words(sendable(text))):
        return ECHO_POST
    prompt = _words_of_rules(count > 1)
    if longest >= _ECHOED_WORDS and any(_copied(item, prompt, _ECHOED_WORDS) for item in said):
        return ECHO_PROMPT
    are_phrases = sum(" " in item for item in said) > 1
    if are_phrases and all(_within(item, prompt) for item in said):
        post = _words(sendable(text))
        return None if any(_within(item, post) for item in said) else ECHO_PROMPT
    return None


def _repeats_post(said: list[str], post: str) -> bool:
    return _is_whole_post(said, post) or any(_copied(item, post, MAX_WORDS + 1) for item in said)


def _may_be_whole(said: list[str], text: str) -> bool:
    """Whether the candidates have words enough, and begin with the post's first one: nearly none do, and to find that
    out takes less than all of the post's words.
    """
    if sum(item.count(" ") + 1 for item in said) < _ECHOED_POST_WORDS:
        return False
    normal, word = unicodedata.normalize("NFKC", sendable(text)), said[0].partition(" ")[0]
    first = _WORD.search(normal)
    return first is not None and _words(normal[first.start() : first.start() + len(word) + 1]).startswith(word)


def _is_whole_post(said: list[str], post: str) -> bool:
    """Whether the candidates, one after the other, are the post's sentence and not just its few keywords."""
    words = len(post.split())
    phrased = any(len(item.split()) > 1 for item in said)
    return " ".join(said) == post and (words > MAX_TAGS or (words >= _ECHOED_POST_WORDS and phrased))


def _copied(item: str, source: str, words: int) -> bool:
    return item.count(" ") >= words - 1 and _within(item, source)


def _within(item: str, source: str) -> bool:
    # Most are nowhere in it: that is found out without a copy of the source.
    return item in source and f" {item} " in f" {source} "


def _beginning(text: str) -> str:
    """As much of it as is worth comparing, without half a word at its end."""
    return text[:PIECE_LIMIT].rpartition(" ")[0] if len(text) > PIECE_LIMIT else text


def _words(text: str) -> str:
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold().replace("ё", "е")))


@cache
def _words_of_rules(several: bool) -> str:
    return _words(rules(2 if several else 1))


def _read_plain(answer: str, text: str, finish_reason: str | None, *, has_json: bool) -> Reading:
    """An answer about one post that has no JSON with tags."""
    candidates = plain_list(answer, cut=finish_reason == "length")
    joined = _words(" ".join(candidates)[:PIECE_LIMIT])
    if not candidates or _REFUSALS.search(answer[:PIECE_LIMIT]):
        return _all(range(1, 2), _why_nothing(answer, [text], has_json=has_json))
    if _copied(joined, _words(sendable(text)), _ECHOED_WORDS):
        return _all(range(1, 2), ECHO_POST)
    return _judged({1: candidates}, 1, [text])


def _why_nothing(answer: str, texts: Sequence[str], *, has_json: bool) -> str:
    said = _words(_beginning(answer))
    if _REFUSALS.search(answer[: PIECE_LIMIT * 5]):
        return REFUSAL
    if any(_copied(said, _words(sendable(text)), _ECHOED_WORDS) for text in texts):
        return ECHO_POST
    if _copied(said, _words_of_rules(len(texts) > 1), _ECHOED_WORDS):
        return ECHO_PROMPT
    return NO_TAGS_KEY if has_json else NO_LIST


def _all(numbers: Iterable[int], problem: str) -> Reading:
    return Reading({}, dict.fromkeys(numbers, problem))
