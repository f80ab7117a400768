"""What buttons carry, and what people write after commands."""

from __future__ import annotations

from random import Random

import pytest
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, User

from bot.handlers.arguments import RetryArguments, parse_post_id, parse_retry
from bot.handlers.groups import is_addressed
from bot.keyboards import (
    MAX_POST_ID,
    AccessRequest,
    Action,
    Failed,
    PostButton,
    Refresh,
    Retry,
    StopRetry,
    TryNow,
)

BIGGEST: list[CallbackData] = [
    *(PostButton(action=action, post=MAX_POST_ID, here=False) for action in Action),
    Retry(here=False),
    StopRetry(batch=2**63 - 1),
    Failed(page=1_000_000, here=False),
    Refresh(everybody=False),
    AccessRequest(person=2**53, approve=False),
    TryNow(),
]


@pytest.mark.parametrize("data", BIGGEST, ids=str)
def test_a_button_fits_and_comes_back_as_it_was(data: CallbackData) -> None:
    packed = data.pack()
    assert len(packed.encode()) <= 64
    assert type(data).unpack(packed) == data


async def test_forged_data_matches_no_button_and_breaks_none() -> None:
    random = Random(1)
    words = ["post", "retry", "stop", "failed", "stats", "access", "try", "0", "1", "-1", str(2**63), "x", "", "force"]
    alphabet = [*words, "\x00", "😀", str(2**31)]
    samples = [":".join(random.choices(alphabet, k=random.randint(1, 6))) for _ in range(2000)]
    person = User(id=1, is_bot=False, first_name="x")
    for sample in samples:
        press = CallbackQuery.model_construct(id="1", from_user=person, chat_instance="1", data=sample)
        for kind in {type(data) for data in BIGGEST}:
            found = await kind.filter()(press)
            if found and isinstance(button := found["callback_data"], PostButton):
                assert 1 <= button.post <= MAX_POST_ID


@pytest.mark.parametrize(
    ("text", "post_id"),
    [
        ("12", 12),
        (" #12 ", 12),
        (str(MAX_POST_ID), MAX_POST_ID),
        (str(MAX_POST_ID + 1), None),
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
