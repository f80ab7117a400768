"""Arguments of commands, and messages in groups."""

from __future__ import annotations

import pytest

from bot.handlers.arguments import RetryArguments, parse_post, parse_post_id, parse_retry, parse_tag_pair
from bot.handlers.channels.groups import is_addressed
from bot.views.posts.posts import post_in
from services.library.cursor import MAX_ID
from services.library.message_links import MessageLink


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
        ("#5", 5),
        ("https://t.me/durov/5", MessageLink("durov", 5)),
        ("t.me/durov/5?single", MessageLink("durov", 5)),
        ("https://t.me/s/durov/5", MessageLink("durov", 5)),
        ("http://telegram.me/durov/5#x", MessageLink("durov", 5)),
        ("https://t.me/c/1234567890/5", MessageLink(-1001234567890, 5)),
        ("https://t.me/c/1234567890/7/5", MessageLink(-1001234567890, 5)),
        ("https://t.me/durov", None),
        ("https://t.me/durov/x", None),
        ("https://example.org/durov/5", None),
        ("https://t.me/durov/5 6", None),
        (f"https://t.me/durov/{10**18}", None),
    ],
)
def test_a_post_is_named_by_number_or_link(text: str, wanted: int | MessageLink | None) -> None:
    assert parse_post(text) == wanted


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("✅ #5 · tagged · Channel #7", 5),
        ("⏳ Saved as #5; its tags will appear here.\n\n#9", 5),
        ("❌ 3 failed posts\n\n#5 · Channel", None),
        ("🔎 #2024\n\n#5 · Channel", None),
        (f"✅ #{MAX_ID + 1}", None),
        ("", None),
    ],
)
def test_the_post_that_a_message_is_about(text: str, number: int | None) -> None:
    """Lists are about many."""
    assert post_in(text) == number


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
