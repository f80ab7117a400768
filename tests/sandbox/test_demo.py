"""The demo's posts are worth tagging, and its steps can tell them apart."""

from __future__ import annotations

from sandbox.demo.posts import load_channels
from sandbox.demo.show import REFUSED, REGENERATED
from sandbox.provider import expected_tags


def test_posts_are_many_and_different() -> None:
    texts = [text for channel in load_channels() for text in channel.posts]
    assert len(set(texts)) == len(texts) >= 60
    assert all(3 <= len(expected_tags(text)) <= 5 for text in texts)
    assert len({tuple(expected_tags(text)) for text in texts}) == len(texts)


def test_the_posts_of_the_steps_are_unique() -> None:
    texts = [text for channel in load_channels() for text in channel.posts]
    for marker in (REFUSED, REGENERATED):
        assert sum(marker in text for text in texts) == 1
