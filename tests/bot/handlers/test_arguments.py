"""Arguments of commands, and messages in groups."""

from __future__ import annotations

import pytest

from bot.handlers.arguments import RetryArguments, parse_post_id, parse_retry, parse_tag_pair
from bot.handlers.groups import is_addressed
from services.library.cursor import MAX_ID


@pytest.mark.parametrize(
    ("text", "post_id"),
    [
        ("12", 12),
        (" #12 ", 12),
        (str(MAX_ID), MAX_ID),
        (str(MAX_ID + 1), None),
        (str(2**63), None),
        ("9" * 400, None),
        ("0", None),
        ("-5", None),
        ("1.5", None),
        ("١٢", None),
        ("1 2", None),
        ("abc", None),
        ("", None),
        (None, None),
    ],
)
def test_a_posts_id(text: str | None, post_id: int | None) -> None:
    assert parse_post_id(text) == post_id


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("ии -> нейросети", ("ии", "нейросети")),
        ("c++→c#", ("c++", "c#")),
        ("a b=>c-d", ("a b", "c-d")),
        ("a ->", None),
        ("-> b", None),
        ("a -> b -> c", None),
        ("a > b", None),
        (None, None),
    ],
)
def test_two_tags(text: str | None, pair: tuple[str, str] | None) -> None:
    assert parse_tag_pair(text) == pair


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, RetryArguments()),
        ("1000", RetryArguments(1000)),
        ("force", RetryArguments(force=True)),
        ("FORCE all", RetryArguments(force=True, everybody=True)),
        ("force all 7", RetryArguments(7, force=True, everybody=True)),
        ("force 7", RetryArguments(7, force=True)),
        ("0", None),
        ("1001", None),
        ("-1", None),
        ("9" * 50, None),
        ("all", None),
        ("all force", None),
        ("5 5", None),
        ("force5", RetryArguments(5, force=True)),
        ("x", None),
    ],
)
def test_the_arguments_of_retry(text: str | None, wanted: RetryArguments | None) -> None:
    assert parse_retry(text) == wanted


@pytest.mark.parametrize(
    ("text", "addressed"),
    [
        ("/stats", True),
        ("/stats@Metka_bot x", True),
        ("/stats@other_bot", False),
        ("hi @metka_bot!", True),
        ("hi", False),
    ],
)
def test_what_a_group_says_to_the_bot(text: str, addressed: bool) -> None:
    assert is_addressed(text, "Metka_bot") is addressed
