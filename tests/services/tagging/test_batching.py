"""Which posts share a request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.tagging.batching import batches, most_together
from services.tagging.retry_policy import AttemptTrail
from services.tagging.tagging_request import TaggingRequest
from storage.queue.claim import ClaimedPost, Priority

BATCH = 10
POST = ClaimedPost(1, 1, "текст", (), 0, Priority.FRESH, None, None, "token")


def requests(*posts: ClaimedPost, most: int = BATCH) -> list[TaggingRequest]:
    return [
        TaggingRequest((post._replace(id=number),), ("m",), most_posts=most)
        for number, post in enumerate(posts, start=1)
    ]


def grouped(single: list[TaggingRequest]) -> list[list[int]]:
    return [[post.id for post in batch.posts] for batch in batches(single)]


def test_posts_of_one_kind_go_together_in_their_order() -> None:
    """As many as may; a request's first post says when it goes."""
    assert grouped(requests(*[POST] * 5, most=2)) == [[1, 2], [3, 4], [5]]


@pytest.mark.parametrize(
    "other",
    [
        POST._replace(work_class=Priority.ASKED),  # a person waits for it
        POST._replace(is_retry=True),  # what failed counts against the share of retries
    ],
)
def test_what_is_of_another_kind_goes_apart(other: ClaimedPost) -> None:
    assert grouped(requests(POST, other, POST, other)) == [[1, 3], [2, 4]]


@pytest.mark.parametrize("other", [{"models": ("n",)}, {"most_posts": 3}, {"is_probe": True}])
def test_nor_do_those_go_together_that_are_sent_otherwise(other: dict[str, Any]) -> None:
    first, second = requests(POST, POST)
    assert grouped([first, replace(second, **other)]) == [[1], [2]]


def test_the_order_of_work_among_what_waits_does_not_part_posts() -> None:
    """Fresh posts and an archive's may share a request."""
    assert grouped(requests(POST, POST._replace(work_class=Priority.BACKFILL))) == [[1, 2]]


@pytest.mark.parametrize(
    ("suspect", "together", "most"),
    [(False, None, BATCH), (False, 5, 5), (False, 50, BATCH), (True, None, 1), (True, 5, 1)],
)
def test_how_many_may_share_a_posts_request(suspect: bool, together: int | None, most: int) -> None:
    """As many as its attempt allows; what fails where others are served takes nobody with it."""
    assert most_together(POST._replace(suspect=suspect), AttemptTrail(together=together), BATCH) == most
