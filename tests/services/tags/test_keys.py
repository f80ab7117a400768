"""Keys of tags: equal for spellings that a reader takes for one tag, and for no others."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tags.keys import tag_key

LINES = Path(__file__).with_name("spellings.txt").read_text(encoding="utf-8").splitlines()


def spellings(sign: str) -> list[list[str]]:
    return [line.removeprefix(sign).strip().split(" | ") for line in LINES if line.startswith(sign)]


@pytest.mark.parametrize("one_tag", spellings("="), ids=lambda names: str(names[0]))
def test_spellings_of_one_tag_have_one_key(one_tag: list[str]) -> None:
    assert {name: tag_key(name) for name in one_tag} == dict.fromkeys(one_tag, tag_key(one_tag[0]))


@pytest.mark.parametrize("tags", spellings("!"), ids=lambda names: str(names[0]))
def test_other_tags_have_other_keys(tags: list[str]) -> None:
    equal = [(one, other, tag_key(one)) for one, other in combinations(tags, 2) if tag_key(one) == tag_key(other)]
    assert equal == []


def test_no_two_tags_of_the_table_share_a_key() -> None:
    """Each line's first tag has a key that no other line's first tag has."""
    names = [line[0] for line in spellings("=")]
    keys = sorted((tag_key(name), name) for name in names)
    assert [(one, other) for one, other in pairwise(keys) if one[0] == other[0]] == []


@given(st.text(max_size=60) | st.text(alphabet="аябвгеёйнстьы abciesux-_#.,'14", max_size=30))
def test_any_text_has_a_key(text: str) -> None:
    """A key is its own key, and is empty only for an empty text."""
    key = tag_key(text)
    assert tag_key(key) == key
    assert bool(key) == bool(text)


@given(st.lists(st.sampled_from([name for line in spellings("=") for name in line]), min_size=1, max_size=3))
def test_the_key_of_a_key_is_the_key(words: list[str]) -> None:
    key = tag_key(" ".join(words))
    assert tag_key(key) == key
