"""The short way for tags that are nothing but letters, digits, spaces and hyphens."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from services.tags.normalisation import clean_tags

#: It cannot be seen, and a tag that has it goes the long way.
UNSEEN = "\u200b"
PLAIN = st.text("AaZz09аяАЯёЁйЙ -", max_size=50)


@given(st.lists(PLAIN, max_size=10))
@example([" - a-b - ", "A B", "ab", "ё", "Ёж", "еж", "--", "1 2 3 4 5 6"])
def test_plain_tags_come_out_as_the_long_way_has_them(candidates: list[str]) -> None:
    assert clean_tags(candidates) == clean_tags([candidate + UNSEEN for candidate in candidates])
