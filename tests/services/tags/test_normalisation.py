"""Candidates become clean tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tags.normalisation import clean_tags

COFFEE = ("кофе", "утро")


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        (["  #Кофе ", "КОФЕ", "«утро»"], COFFEE),
        (["machine   learning", "Machine-Learning", "machine_learning"], ("machine learning",)),
        (["ёлка", "елка"], ("ёлка",)),
        (["кофе, утро\nзавтрак"], ("кофе", "утро", "завтрак")),
        (["#кофе #утро"], COFFEE),
        (["1. кофе", "2) утро"], COFFEE),
        (["**кофе**", "'утро'", "“день”"], ("кофе", "утро", "день")),
        (["ко\u200bфе\x00", "\u202eутро\u202c"], COFFEE),
        (["c++", "c#", ".NET", "18+", "python (язык)"], ("c++", "c#", ".net", "18+", "python (язык)")),
        (["🔥 кофе ☕️", "!!!", "…", "—"], ("кофе",)),
        (["2024", "1,5 млн"], ("2024", "1,5 млн")),
        (["x", "a" * 50, "b" * 51], ("a" * 50,)),
        (["это целое предложение из поста длинное", "кофе"], ("кофе",)),
        ([None, 5, True, ["кофе"], {"a": 1}], ()),
        (["null", "N/A", "нет тегов", "кофе"], ("кофе",)),
        (["й", "ру\u0301да", "Й" + "од", "и\u0306од"], ("ру\u0301да", "йод")),
        (["हिन्दी"], ("हिन्दी",)),
        (["\ud800кофе"], ("кофе",)),
        ([f"tag{n}" for n in range(20)], tuple(f"tag{n}" for n in range(7))),
    ],
)
def test_clean_tags(candidates: list[object], expected: tuple[str, ...]) -> None:
    assert clean_tags(candidates) == expected


@given(st.lists(st.text(max_size=80)))
def test_clean_tags_are_clean(candidates: list[str]) -> None:
    cleaned = clean_tags(candidates)
    assert len(cleaned) <= 7
    for tag in cleaned:
        assert 2 <= len(tag) <= 50
        assert not tag.startswith("#")
        assert tag == tag.strip()
        assert "  " not in tag
        tag.encode()
