"""Tags as hashtags: appended to a text and removed again."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.hashtags.formatting import (
    CAPTION_UNITS,
    MAX_HASHTAG,
    TEXT_UNITS,
    EditableMessage,
    appended,
    clipped,
    hashtag,
    hashtags,
    line_for,
    without_line,
)
from services.text import units

#: Like Telegram's texts: not empty, no white space at the ends.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200).map(str.strip).filter(bool)
tags = st.lists(st.text(max_size=30), max_size=12)
#: Lengths around the limits, of characters with one and with two units.
long_texts = st.builds(
    lambda char, count: "x" + char * count, st.sampled_from("aя😀"), st.integers(0, TEXT_UNITS + 10)
).filter(lambda text: units(text) <= TEXT_UNITS)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("искусственный интеллект", "#искусственный_интеллект"),
        ("#already one", "#already_one"),
        ("Москва-Сити", "#Москва_Сити"),
        ("हिन्दी भाषा", "#हिन्दी_भाषा"),
        ("人工智能", "#人工智能"),
        ("می\u200cخواهم", "#می\u200cخواهم"),
        ("кои\u0306ка", "#койка"),
        ("rock'n'roll", "#rocknroll"),
        ("C++", "#Cplusplus"),
        ("c#", "#csharp"),
        ("18+", "#18plus"),
        ("web 2.0", "#web_2_0"),
        ("2024", None),
        ("20_24", None),
        ("__", None),
        ("!?", None),
        ("😀", None),
        ("", None),
        ("\u0301", None),
    ],
)
def test_a_tag_becomes_a_hashtag(tag: str, expected: str | None) -> None:
    assert hashtag(tag) == expected


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("нейронные сети", "#НейронныеСети"),
        ("москва-сити", "#МоскваСити"),
        ("already_one", "#AlreadyOne"),
        ("кино", "#Кино"),
        ("iPhone 17 и C++", "#IPhone17ИCplusplus"),
        ("人工智能", "#人工智能"),
        ("2024", None),
        ("x" * 70, "#X" + "x" * (MAX_HASHTAG - 2)),
    ],
)
def test_a_hashtag_in_camel_case(tag: str, expected: str | None) -> None:
    assert hashtag(tag, camel=True) == expected


@given(st.text(max_size=300))
def test_a_hashtag_is_one_for_telegram(tag: str) -> None:
    """# and then letters, marks, digits, underscores and joiners, at least one letter; not too long."""
    found = hashtag(tag)
    if found is None:
        return
    name = found.removeprefix("#")
    assert units(found) <= MAX_HASHTAG
    assert any(char.isalpha() for char in name)
    for char in name:
        assert unicodedata.category(char)[0] in "LM" or unicodedata.category(char) == "Nd" or char in "_\u200c\u00b7"
    assert unicodedata.is_normalized("NFC", found)
    assert hashtag(found) == found


def test_a_long_tag_is_cut_between_words() -> None:
    found = hashtag("слово " * 30)
    assert found is not None
    assert found.endswith("_слово")
    assert units(hashtag("a" * 300) or "") == MAX_HASHTAG


def test_each_hashtag_stands_once() -> None:
    assert hashtags(["Кот", "пёс", "кот", "КОТ!", "12"]) == ["#Кот", "#пёс"]


@given(texts, tags)
def test_what_is_appended_comes_off_again(text: str, given_tags: list[str]) -> None:
    line = line_for(EditableMessage(text), given_tags)
    if line is not None:
        longer = appended(text, line)
        assert longer.startswith(text)
        assert longer.strip() == longer
        assert without_line(longer, ["#another", line]) == text
        assert without_line(f"{text}\n\n\n{line}", [line]) == text
        assert without_line(f"{text} {line}", [line]) == text
        assert without_line(line, [None, line]) == ""


@given(long_texts, tags, st.booleans())
def test_lengths_are_telegrams(text: str, given_tags: list[str], is_caption: bool) -> None:
    """As many hashtags as fit; one that does not fit does not keep a shorter one out."""
    original = EditableMessage(text, is_caption=is_caption)
    limit = CAPTION_UNITS if is_caption else TEXT_UNITS
    line = line_for(original, given_tags)
    names = hashtags(given_tags)
    if line is None:
        assert all(units(f"{text}\n\n{name}") > limit for name in names)
        return
    assert units(appended(text, line)) <= limit
    left_out = [name for name in names if name not in line.split(" ")]
    assert all(units(f"{text}\n\n{line} {name}") > limit for name in left_out)


@given(texts, st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), max_size=5), tags)
def test_entities_stay_as_they_are(text: str, spans: list[tuple[int, int]], given_tags: list[str]) -> None:
    entities = [{"type": "bold", "offset": at, "length": length} for at, length in spans if at + length <= units(text)]
    line = line_for(EditableMessage(text, entities), given_tags) or "#tag"
    longer = appended(text, line)
    mark = {"type": "hashtag", "offset": units(text) + 2, "length": units(line)}
    assert clipped([*entities, mark], text) == entities
    assert clipped([{"type": "italic", "offset": 0, "length": units(longer)}], text) == [
        {"type": "italic", "offset": 0, "length": units(text)}
    ]
    for at, length in spans:
        start, end = at * 2, min(at + length, units(text)) * 2
        assert longer.encode("utf-16-le")[start:end] == text.encode("utf-16-le")[start:end]


def test_hashtags_of_the_post_are_not_repeated() -> None:
    marks = [{"type": "hashtag", "offset": 3, "length": 4}, {"type": "hashtag", "offset": 8, "length": 8}]
    original = EditableMessage("😀 #Кот #пёс@abc рыба", marks)
    assert line_for(original, ["кот", "пёс", "рыба"]) == "#рыба"
    assert line_for(original, ["кот"]) is None


@pytest.mark.parametrize("text", ["Hello", "Hello\n\n#other", "Hello#line", "#line and more"])
def test_a_text_without_our_line_is_known(text: str) -> None:
    assert without_line(text, ["#line"]) is None
