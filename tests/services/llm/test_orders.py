"""What tells an order from a topic: in honest requests hardly a post is doubted."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sandbox.provider import expected_tags
from services.llm.orders import gives_orders, spread

HONEST: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "honest_posts.json").read_text(encoding="utf-8")
)
POSTS = [post for topic in HONEST.values() for post in topic["posts"]]
#: Of rules that somebody ignores or revokes, which is no order to a model.
RULES_IN_THE_NEWS = [
    "Водители игнорируют правила парковки у вокзала.",
    "Суд отменил правила уличной торговли.",
    "Hikers ignore the rules of the park, so the rangers close two trails.",
]
BATCH = 10


def tagged(random: Random, text: str, common: list[str], share: float) -> list[str]:
    """What a model says of a post: words of its text, and the topic's, which mostly stand in no text."""
    own = expected_tags(text)
    chosen = random.sample(own, min(len(own), random.randint(1, 4)))
    topical = [tag for tag in common if random.random() < share]
    return (topical + chosen)[:7]


def requests_more(random: Random, topics: list[str], share: float) -> int:
    """The requests that doubts about one batch of these topics cost."""
    pool = [(post, HONEST[topic]["common"]) for topic in topics for post in HONEST[topic]["posts"]]
    chosen = random.sample(pool, BATCH)
    tags = {at: tagged(random, text, common, share) for at, (text, common) in enumerate(chosen, start=1)}
    found = spread(tags, [text for text, _ in chosen])
    return len(found.doubted | found.sources)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 1.0])
def test_honest_batches_cost_hardly_a_request(share: float) -> None:
    """One topic in all posts, a few topics, or all of them: at most 1 % more requests."""
    random, more, batches = Random(share), 0, 0
    for _ in range(60):
        for topic in HONEST:
            some = random.sample(list(HONEST), 3)
            more += sum(requests_more(random, topics, share) for topics in ([topic], some, list(HONEST)))
            batches += 3
    assert more <= batches / 100


def test_honest_posts_do_not_go_alone() -> None:
    """Also those about hashtags, labels and instructions to models."""
    assert [post for post in POSTS + RULES_IN_THE_NEWS if gives_orders(post)] == []
