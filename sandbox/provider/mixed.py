"""Answers that mix up several posts: name → change of the correct answer. An answer about one post stays correct."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from sandbox.provider.exchange import Exchange, Json

Shape = Callable[[Exchange], str]
Posts = list[Json]
DECOY = ["decoy", "wrong"]


def _mixed(change: Callable[[Posts, Random], Posts]) -> Shape:
    """The posts after a change; equal posts get equal changes."""

    def shape(ex: Exchange) -> str:
        if ex.single:
            return ex.content()
        posts: Posts = ex.truth()["posts"]
        return json.dumps({"posts": change(posts, Random(ex.message))}, ensure_ascii=False)

    return shape


def _shuffled(posts: Posts, random: Random) -> Posts:
    return random.sample(posts, len(posts))


def _left_out(posts: Posts, random: Random) -> Posts:
    gone = random.choice(posts)
    return [post for post in posts if post is not gone]


def _doubled(posts: Posts, random: Random) -> Posts:
    return [*posts, {**random.choice(posts), "tags": DECOY}]


def _counted_from(first: int) -> Callable[[Posts, Random], Posts]:
    return lambda posts, _: [{**post, "id": at} for at, post in enumerate(posts, first)]


def _recounted(posts: Posts, random: Random) -> Posts:
    return [{**post, "id": at} for at, post in enumerate(_left_out(posts, random), 1)]


def _swapped(posts: Posts, random: Random) -> Posts:
    if len(posts) < 2:
        return posts
    one, other = random.sample(range(len(posts)), 2)
    tags = {one: posts[other]["tags"], other: posts[one]["tags"]}
    return [{**post, "tags": tags.get(at, post["tags"])} for at, post in enumerate(posts)]


def _one_empty(posts: Posts, random: Random) -> Posts:
    gone = random.choice(posts)
    return [{**post, "tags": []} if post is gone else post for post in posts]


def _worded(posts: Posts, _: Random) -> Posts:
    return [{**post, "id": f"Post {post['id']}"} for post in posts]


def _unasked(posts: Posts, _: Random) -> Posts:
    return [*posts, {"id": len(posts) + 7, "tags": DECOY}]


MIXED: dict[str, Shape] = {
    "shuffled": _mixed(_shuffled),
    "left_out": _mixed(_left_out),
    "doubled": _mixed(_doubled),
    "one_empty": _mixed(_one_empty),
    "counted_from_zero": _mixed(_counted_from(0)),
    "counted_from_two": _mixed(_counted_from(2)),
    "recounted": _mixed(_recounted),
    "swapped": _mixed(_swapped),
    "worded_numbers": _mixed(_worded),
    "unasked": _mixed(_unasked),
}
