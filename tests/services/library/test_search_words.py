"""What is found by which query, without a database."""

from __future__ import annotations

from datetime import date

import pytest

from services.library.search_words import QUERY_LIMIT, SinceError, Stems, post_numbers, read_query

STEMS = Stems()


def is_found(text: str, tags: list[str], query: str) -> bool:
    """Whether the words of a query are all among those of a post, and those left out are not."""
    read = read_query(query)
    numbers = set(post_numbers(STEMS, 1, 1, text, tags))
    return read.words <= numbers and not read.without & numbers


@pytest.mark.parametrize(
    ("text", "tags", "query"),
    [
        ("Новая нейросеть пишет стихи", [], "нейросети"),
        ("О нейросетях и людях", [], "нейросеть"),
        ("Ёлки в городе", [], "елка ГОРОДА"),
        ("Solar panels were installed", [], "panel install"),
        ("Обзор GPT-4 и Claude", [], "gpt-4"),
        ("Обзор", ["нейронные сети"], "нейронная"),
        ("Обзор", ["нейронные сети"], "#нейронные_сети"),
        ("Обзор", ["нейронные сети"], "#Нейронная-сеть"),
        ("Код", ["c++"], "#c++"),
        ("Код", ["rock'n'roll"], "#rock'n'roll"),
        ("Новости, без прикрас!", [], "«новость»"),
        ("Новости", [], "новости -реклама"),
        ("Новости", ["город"], "новости -#спорт"),
        ("ﬁne café", [], "fine café"),
    ],
)
def test_a_post_is_found(text: str, tags: list[str], query: str) -> None:
    """In any form of Russian and English words; by words of its tags, too."""
    assert is_found(text, tags, query)


@pytest.mark.parametrize(
    ("text", "tags", "query"),
    [
        ("Новости города", [], "новости спорт"),
        ("Реклама города", [], "город -рекламы"),
        ("Обзор города", [], "#город"),
        ("Код", ["c#"], "#c++"),
        ("Код", ["город"], "код -#города"),
        ("искусство истории", ["искусство истории"], "#история_искусства"),
    ],
)
def test_a_post_is_not_found(text: str, tags: list[str], query: str) -> None:
    """Each word counts; a #tag is a tag, not a word of the text."""
    assert not is_found(text, tags, query)


def test_a_query_is_read_whole() -> None:
    read = read_query("Слово #тег @Durov, -@spam\x00 -лишнее since:2026-02")
    assert (len(read.words), len(read.without)) == (2, 1)
    assert (set(read.channels), set(read.without_channels)) == ({"durov"}, {"spam"})
    assert read.since == date(2026, 2, 1)


@pytest.mark.parametrize("text", ["", " ", "…", "- # @ -#", "🔥"])
def test_a_query_of_nothing_is_empty(text: str) -> None:
    assert read_query(text).is_empty


@pytest.mark.parametrize(
    ("text", "since"),
    [("2026", date(2026, 1, 1)), ("2026-3", date(2026, 3, 1)), ("2026-12-31", date(2026, 12, 31))],
)
def test_since_takes_a_year_a_month_or_a_day(text: str, since: date) -> None:
    assert read_query(f"Since:{text}").since == since


@pytest.mark.parametrize(
    "text", ["", "yesterday", "26", "2026-13", "2026-02-30", "2026-01-01-01", "٢٠٢٦", "9999999999"]
)
def test_since_refuses_anything_else(text: str) -> None:
    with pytest.raises(SinceError):
        read_query(f"word since:{text}")


def test_a_long_query_is_cut() -> None:
    assert len(read_query(" ".join(f"w{n}" for n in range(10_000))).words) < QUERY_LIMIT


def test_numbers_fit_into_an_integer_of_postgresql() -> None:
    numbers = post_numbers(STEMS, 1, 1, " ".join(f"w{n}" for n in range(1000)), ["a", "a"])
    assert len(numbers) == len(set(numbers)) == 1004
    assert min(numbers) >= -(2**31)
    assert max(numbers) < 2**31
