"""Whatever a model says, what comes out are clean tags of the posts that were asked about, or none."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import json_repair
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.answer_checks import AnswerProblem
from services.llm.answer_parser import ParsedAnswer, read_answer
from services.llm.prompts import rules
from services.tags.normalisation import MAX_LENGTH, MAX_TAGS, MAX_WORDS, MIN_LENGTH, clean_tags
from services.text import is_blank

POST = "Сегодня в Москве открылся новый большой парк, сообщили городские власти."
LONG = " ".join(f"слово{n} новости" for n in range(100))

TAGS: list[tuple[str, Any, tuple[str, ...] | str]] = [
    ("commas", ["кофе, утро;чай"], ("кофе", "утро", "чай")),
    ("quotes", ['"кофе"', "'утро'", "«чай»", "`сок`", '"' * 50], ("кофе", "утро", "чай", "сок")),
    ("sql", ["'; DROP TABLE posts; --", "1 OR 1=1"], ("drop table posts", "1 or 1=1")),
    ("html", ["<b>кофе</b>", '<a href="x">утро</a>', "<script>чай</script>"], ("кофе", "утро", "чай")),
    ("entities", ["&lt;b&gt;кофе&lt;/b&gt;", "r&amp;d", "&#8203;&#0;утро"], ("кофе", "r&d", "утро")),
    ("unclosed markup", ["<b кофе", "a < b > c", "утро>"], ("b кофе", "a < b > c", "утро")),
    ("one of 10,000 characters", ["x" * 10_000, "кофе"], ("кофе",)),
    ("words without end", ["слово " * 5000, "кофе"], ("кофе",)),
    ("10,000 items", [f"тег{n}" for n in range(10_000)], tuple(f"тег{n}" for n in range(MAX_TAGS))),
    ("10,000 bad items", ["!"] * 10_000 + ["кофе"], ("кофе",)),
    ("numbers", [1, 2.5, 1e300, -7, True, "2024"], ("2024",)),
    ("nested arrays", [["кофе"], [["утро"]], [], {}, "чай"], ("чай",)),
    ("only nested arrays", [["кофе"], ["утро"]], AnswerProblem.NO_USABLE_TAG),
    ("nulls", [None, "null", None, "NULL", "none", "кофе"], ("кофе",)),
    ("controls", ["\x00ко\x07фе\x7f", "\x85утро\x9b", "чай\x1f"], ("кофе", "утро", "чай")),
    ("zero width", ["ко\u200b\u2060фе\ufeff", "\u200b\u200d", "кофе"], ("кофе",)),
    ("direction", ["\u202eкофе\u202c", "\u2066утро\u2069"], ("кофе", "утро")),
    ("blanks that count as letters", ["\u3164\u3164", "\u115f\u1160", "\u2800\u2800", "кофе\u3164"], ("кофе",)),
    ("surrogates", ["\ud800\udc00\ud800", "ко\ud83dфе"], ("кофе",)),
    ("hashes", ["###кофе", "#утро#", "чай#сок"], ("кофе", "утро", "чай", "сок")),
    ("wide hashes", ["＃вода", "лёд＃﹟снег"], ("вода", "лёд", "снег")),
    ("a hash of its own", ["c#", "#f#", "a##", "#"], ("c#", "f#", "a#")),
    ("other case", ["Кофе", "КОФЕ", "кофе", "ё", "ЁЛКА", "елка"], ("кофе", "ёлка")),
    ("case with a dot", ["İstanbul", "istanbul", "ISTANBUL"], ("istanbul",)),
    ("other spaces", ["new york", "New-York", "NEW\u00a0YORK", "new_york", "new\tyork"], ("new york",)),
    ("compatible letters", ["ｃｏｆｆｅｅ", "coffee", "ﬁlm", "film"], ("ｃｏｆｆｅｅ", "ﬁlm")),
    ("the prompt's words", ["write them in lower case", "кофе"], AnswerProblem.ECHO_PROMPT),
    ("four of the prompt's words", ["them in lower case", "кофе"], AnswerProblem.ECHO_PROMPT),
    ("three of the prompt's words", ["in lower case", "кофе"], ("in lower case", "кофе")),
    ("the prompt's phrases", ["frame word", "short phrase", "noun"], AnswerProblem.ECHO_PROMPT),
    ("the whole prompt", [rules(1)], AnswerProblem.ECHO_PROMPT),
    ("the post", [POST], AnswerProblem.ECHO_POST),
    ("a long post", [LONG], AnswerProblem.ECHO_POST),
    ("an object of tags", {"first": "кофе"}, AnswerProblem.NO_USABLE_TAG),
    ("objects", [{"tag": "кофе"}, {"tag": ["утро"]}, {"tag": {"tag": "чай"}}, {"x": "y"}], ("кофе",)),
    ("nothing", [], AnswerProblem.NO_USABLE_TAG),
    ("false", False, AnswerProblem.NO_USABLE_TAG),
]


@pytest.mark.parametrize(("tags", "expected"), [row[1:] for row in TAGS], ids=[row[0] for row in TAGS])
def test_hostile_tags(tags: Any, expected: tuple[str, ...] | str) -> None:
    """Cleaned, or refused with a reason."""
    reading = read_answer(json.dumps({"tags": tags}), 1, [LONG if tags == [LONG] else POST])
    check(reading, 1)
    assert (reading.tags or reading.problems)[1] == expected


WHOLE = "Новый год уже рядом с нами, дорогие друзья города"
PARTS = ["новый год", "уже рядом", "с нами", "дорогие друзья", "города"]


@pytest.mark.parametrize(
    ("post", "first"),
    [
        (WHOLE, PARTS[0]),
        ("🎄" * 200 + WHOLE, PARTS[0]),
        (f"{WHOLE}!\n" + "━" * 200, PARTS[0]),
        ("Ⓜ" + WHOLE, "mновый год"),
    ],
)
def test_a_post_taken_apart_is_an_echo_however_it_is_decorated(post: str, first: str) -> None:
    """Short tags that are the post's own sentence, one after the other."""
    reading = read_answer(json.dumps({"tags": [first, *PARTS[1:]]}), 1, [post])
    assert reading.problems == {1: AnswerProblem.ECHO_POST}


@pytest.mark.parametrize("tags", [row[1] for row in TAGS], ids=[row[0] for row in TAGS])
def test_a_neighbour_of_hostile_tags_has_its_own(tags: Any) -> None:
    """What one post is given says nothing about the next one."""
    posts = [{"id": 1, "tags": tags}, {"id": 2, "tags": ["сосед"]}]
    reading = read_answer(json.dumps({"posts": posts}), 2, [POST, "text"])
    check(reading, 2)
    assert reading.tags[2] == ("сосед",)
    assert reading.tags.get(1) == read_answer(json.dumps({"tags": tags}), 1, [POST]).tags.get(1)


def check(reading: ParsedAnswer, count: int) -> None:
    """Each post asked about has tags or a reason, no other has; all tags are clean."""
    assert not set(reading.tags) & set(reading.problems)
    assert set(reading.tags) | set(reading.problems) == set(range(1, count + 1))
    assert all(reading.problems.values())
    for tags in reading.tags.values():
        assert tags
        check_clean(tags)


def check_clean(tags: Sequence[str]) -> None:
    assert len(tags) <= MAX_TAGS
    assert len({unicodedata.normalize("NFKC", tag).casefold() for tag in tags}) == len(tags)
    for tag in tags:
        assert MIN_LENGTH <= len(tag) <= MAX_LENGTH
        assert len(tag.split()) <= MAX_WORDS
        assert tag == " ".join(tag.split()) == unicodedata.normalize("NFC", tag)
        assert not any(unicodedata.category(char).startswith("C") or is_blank(char) for char in tag)
        assert not re.search(r"(?<!\b[a-z])#|＃|﹟", tag)
        assert any(char.isalnum() for char in tag)


HOSTILE_TEXT = st.text(max_size=60) | st.text(
    st.sampled_from("#,;\"'`<>&{}[]\\/|\x00\x1b\u200b\u202e\u3164\ud800İıßﬁ＃ \n\t\u2028aЯ1é\u0301😀"), max_size=30
)
HOSTILE_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | HOSTILE_TEXT,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["tags", "posts", "id", "tag", "1", "2", "9", "теги"]) | HOSTILE_TEXT, inner)
    ),
    max_leaves=15,
)
COUNT = st.integers(1, 4)


@given(st.lists(HOSTILE_TEXT))
def test_clean_tags_of_any_text(candidates: list[str]) -> None:
    """Caps on length and number, nothing invisible, no '#', none twice."""
    check_clean(clean_tags(candidates))


@given(HOSTILE_TEXT, COUNT, st.booleans())
def test_any_text_is_read(content: str, count: int, ends: bool) -> None:
    """It never raises."""
    check(read_answer(content, count, [POST] * count, cut=ends), count)


@given(HOSTILE_JSON, st.integers(0, 200), COUNT, st.booleans())
def test_any_json_is_read_whole_or_cut(value: Any, cut: int, count: int, ends: bool) -> None:
    """Whatever stands where tags are expected, also when its end is missing."""
    content = json.dumps(value, ensure_ascii=False)
    check(read_answer(content, count, [POST] * count, cut=ends), count)
    check(read_answer(content[:cut], count, [POST] * count, cut=ends), count)


SPELLINGS: list[tuple[Any, int | None]] = [
    *[(number, number) for number in (-1, 0, 1, 2, 3, 4, 99)],
    ("1", 1),
    (" 2 ", 2),
    ("Post 3", 3),
    ("#2", 2),
    (1.0, 1),
    (1.5, None),
    (True, None),
    (None, None),
    ("", None),
    ("1 and 2", None),
    ("1.5", None),
    ([1], None),
    ({"id": 1}, None),
    (10**30, None),
    ("9" * 5000, None),
    (float("nan"), None),
    (float("inf"), None),
]


@given(st.lists(st.sampled_from(SPELLINGS), max_size=6), st.booleans())
def test_only_its_own_number_gives_a_post_its_tags(spellings: list[tuple[Any, int | None]], wrapped: bool) -> None:
    """Numbers of any type: those that were not asked about, or are no number, give nothing to anybody."""
    words = ["альфа", "бета", "гамма", "дельта", "эпсилон", "дзета"]
    posts = [{"id": spelling, "tags": [word]} for (spelling, _), word in zip(spellings, words, strict=False)]
    reading = read_answer(json.dumps({"posts": posts} if wrapped else posts), 3, ["text"] * 3)
    check(reading, 3)
    for number, tags in reading.tags.items():
        assert tags == tuple(word for (_, own), word in zip(spellings, words, strict=False) if own == number)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    "piece", ['{"id": 1 "tags": ["a" "b"}, ', "{'a': ['b', ", "[“a”, “b", '{"1": "b" "2": ', "[{]}"]
)
def test_work_is_bounded(monkeypatch: pytest.MonkeyPatch, piece: str, count: int) -> None:
    """Only the beginning of a megabyte is mended, in parts of a bounded size."""
    mended: list[int] = []
    real = json_repair.loads

    def counting(text: str, **options: Any) -> Any:
        mended.append(len(text))
        return real(text, **options)

    monkeypatch.setattr(json_repair, "loads", counting)
    read_answer(piece * (2**20 // len(piece)), count, [POST] * count)
    assert max(mended, default=0) <= 32 * 1024
    assert sum(mended) <= 512 * 1024
