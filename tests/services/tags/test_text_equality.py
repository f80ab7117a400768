"""Which texts are equal to a reader."""

from __future__ import annotations

import pytest

from services.tags.text_equality import same_words, text_key

TEXT = "Новая станция метро открылась сегодня: https://city.example/news?id=7&utm_source=tg"
REPOST = "НОВАЯ станция метро открылась сегодня — https://city.example/news?id=7&utm_source=vk&fbclid=Xyz1!"
OTHER = "Новая станция метро закрылась сегодня: https://city.example/news?id=7"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (TEXT, REPOST, True),
        (TEXT, OTHER, False),
        ("Привет, мир!", "привет мир", True),
        ("Ёлка", "ёлка", True),
        ("цена 1,5 млн", "цена 15 млн", False),
        ("https://a.example/x?utm_medium=1", "https://a.example/x", True),
        ("https://a.example/x?v=1", "https://a.example/x?v=2", False),
        ("https://a.example/x?id=1&gclid=2#top", "https://a.example/x?id=1#top", True),
        ("вакансия c#", "вакансия c", False),
        ("кино 18+", "кино 18", False),
        ("«Зенит» — «Спартак»", '"Зенит" - "Спартак"', True),
        ("https://[broken?utm_source=1", "https://[broken?utm_source=2", False),
        ("x" * 2000 + "one", "x" * 2000 + "two", True),  # a model sees no more of it
    ],
)
def test_which_texts_are_the_same(one: str, other: str, same: bool) -> None:
    assert (same_words(one) == same_words(other)) is same
    assert (text_key(one) == text_key(other)) is same
