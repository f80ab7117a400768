"""Whose tags are these? By the words of the posts, where the numbers may not say."""

from __future__ import annotations

import json

import pytest

from services.llm.answer_parser import read_answer

FLATS = "Цены на квартиры выросли за месяц на три процента"
MATCH = "Зенит обыграл Спартак со счётом два один"
MARS = "На Марсе нашли следы воды под слоем пыли"
TEXTS = (FLATS, MATCH, MARS)


def read(*tags: list[str], cut: bool = False) -> dict[int, tuple[str, ...]]:
    """The tags that an answer with these, numbered from 1, gives the posts."""
    content = json.dumps({"posts": [{"id": at, "tags": given} for at, given in enumerate(tags, start=1)]})
    return read_answer(content, len(TEXTS), TEXTS, cut=cut).tags


def test_tags_that_are_no_words_of_any_post_are_taken() -> None:
    """Most tags sum a post up, and every number is there."""
    assert set(read(["недвижимость"], ["спорт", "футбол"], ["космос", "наука"])) == {1, 2, 3}


def test_a_post_left_out_and_the_rest_counted_anew() -> None:
    """Two posts' tags under the numbers 1 and 2 of three: nothing shows that they are those posts'."""
    assert read(["спорт", "футбол"], ["космос", "наука"]) == {}


def test_the_last_post_left_out() -> None:
    """The same numbers, but the tags are words of their posts."""
    assert set(read(["квартиры", "цены"], ["зенит", "спартак"])) == {1, 2}


def test_an_answer_that_was_cut() -> None:
    """What is missing was at its end."""
    assert set(read(["недвижимость"], ["спорт"], cut=True)) == {1, 2}


@pytest.mark.parametrize("swapped", [(["зенит", "спартак"], ["квартиры", "цены"], ["марс", "вода"])])
def test_swapped_numbers(swapped: tuple[list[str], ...]) -> None:
    """Two posts with each other's words: no number of the answer is believed."""
    assert read(*swapped) == {}
