"""Channels' names in what people write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.following.channel_names import MOST_NAMES, Reason, channel_names, is_name, only_name


@pytest.mark.parametrize(
    "text",
    [
        "@durov",
        "durov",
        "t.me/durov",
        "@t.me/durov",
        "http://t.me/durov",
        "https://t.me/durov",
        "https://t.me/durov/",
        "https://T.ME/durov",
        "HTTPS://www.t.me/durov",
        "https://t.me/s/durov",
        "https://t.me/s/durov?before=120",
        "https://t.me/s/durov/15",
        "https://t.me/durov/123?single",
        "https://t.me/durov/123?comment=5#top",
        "https://t.me//durov",
        "telegram.me/durov",
        "https://telegram.me/s/durov",
        "https://telegram.dog/durov/7",
        "tg://resolve?domain=durov",
        "tg://resolve?domain=durov&post=5",
        "durov.t.me",
        "https://durov.t.me/12",
        "  «@durov». ",
        "(https://t.me/durov)",
        "<t.me/durov>!",
    ],
)
def test_every_form_of_a_name_is_read(text: str) -> None:
    assert channel_names(text) == (["durov"], [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("https://t.me/+AbCdEf123", Reason.PRIVATE),
        ("t.me/joinchat/AbCdEf123", Reason.PRIVATE),
        ("+AbCdEf123", Reason.PRIVATE),
        ("https://t.me/c/1234567/89", Reason.PRIVATE),
        ("tg://join?invite=AbCdEf", Reason.PRIVATE),
        ("tg://privatepost?channel=1234567&post=8", Reason.PRIVATE),
        ("https://t.me/share/url?url=x", Reason.NO_CHANNEL),
        ("https://t.me/share", Reason.NO_CHANNEL),
        ("https://t.me/addstickers/Animals", Reason.NO_CHANNEL),
        ("https://t.me/proxy?server=x", Reason.NO_CHANNEL),
        ("https://t.me/iv?url=x", Reason.NO_CHANNEL),
        ("https://t.me/", Reason.NO_CHANNEL),
        ("https://t.me/s/", Reason.NO_CHANNEL),
        ("https://t.me/$invoice", Reason.NO_CHANNEL),
        ("tg://resolve?phone=5", Reason.NO_CHANNEL),
        ("tg://resolve", Reason.NO_CHANNEL),
        ("@abc", Reason.NO_NAME),
        ("@1durov", Reason.NO_NAME),
        ("@_durov", Reason.NO_NAME),
        ("@дуров", Reason.NO_NAME),
        ("@du-rov", Reason.NO_NAME),
        ("@" + "a" * 33, Reason.NO_NAME),
        ("@durov２", Reason.NO_NAME),
        ("https://example.com/durov", Reason.NO_NAME),
        ("https://t.me.example.com/durov", Reason.NO_NAME),
        ("http://[::1/durov", Reason.NO_NAME),
        ("@@durov", Reason.NO_NAME),
    ],
)
def test_what_is_no_public_channel_is_told_with_its_reason(text: str, reason: Reason) -> None:
    assert channel_names(text).names == []
    assert [each.reason for each in channel_names(text).unusable] == [reason]


def test_several_are_read_in_their_order_and_each_once() -> None:
    found = channel_names("@News, t.me/news;https://t.me/s/NEWS/5\n@other_one\t t.me/+x @other_one t.me/+x")
    assert found.names == ["News", "other_one"]
    assert [each.word for each in found.unusable] == ["t.me/+x"]


def test_no_more_than_fifty_are_taken() -> None:
    text = " ".join(f"@name{number}" for number in range(MOST_NAMES + 1))
    found = channel_names(f"{text} @NAME3")
    assert len(found.names) == MOST_NAMES
    assert found.unusable == [(f"@name{MOST_NAMES}", Reason.TOO_MANY)]


def test_nothing_gives_nothing() -> None:
    assert channel_names(" ,\n; ") == ([], [])


@given(st.text(alphabet=st.sampled_from("@/.:?=+,; \nts.metgabcdefé😀\x00[]%2"), max_size=60) | st.text(max_size=60))
def test_whatever_is_written_gives_only_names(text: str) -> None:
    found = channel_names(text)
    assert all(is_name(name) for name in found.names)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("@durov", "durov"),
        ("t.me/durov/5", "durov"),
        ("durov.t.me", "durov"),
        ("durov", None),
        ("hello.", None),
        ("@durov and more", None),
        ("@durov @other", None),
        ("/settings", None),
        ("https://example.com/durov", None),
        ("https://t.me/+AbCd", None),
    ],
)
def test_a_text_that_is_nothing_but_a_channel(text: str, name: str | None) -> None:
    assert only_name(text) == name
