"""The demo: its posts are worth tagging, its files have one owner, and it runs to its end."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from sandbox.demo.console import Console
from sandbox.demo.posts import load_channels
from sandbox.demo.process import Folder
from sandbox.demo.show import NO_TERMINAL, REFUSED, REGENERATED, main, world


@pytest.mark.parametrize("language", ["ru", "en"])
def test_posts_are_many_and_different_and_have_sensible_tags(language: str) -> None:
    channels = load_channels(language)
    texts = [text for channel in channels for text in channel.posts]
    assert len(set(texts)) == len(texts) >= 50
    tags = {text: values for channel in channels for text, values in channel.tags.items()}
    assert all(len(set(tags[text])) == 3 for text in texts)
    assert len({tuple(values) for values in tags.values()}) == len(texts)
    if language == "en":
        assert not [text for text in texts if re.search("[а-яё]", text, re.IGNORECASE)]


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_posts_of_the_steps_are_unique(language: str) -> None:
    texts = [text for channel in load_channels(language) for text in channel.posts]
    for marker in (REFUSED[language], REGENERATED):
        assert sum(marker in text for text in texts) == 1


async def test_what_is_posted_on_the_page_comes_after_the_channels_own_posts(tmp_path: Path) -> None:
    async with world(Folder(tmp_path), Console()) as (show, _, _):
        for channel in (*show.channels, show.public):
            # Each can be forwarded from the page.
            assert [message["text"] for message in show.telegram.messages(channel.id)] == channel.posts
            assert show.telegram.channel_post(channel.id, "A visitor's") == len(channel.posts) + 1
        assert max(show.preview.channel(show.public.username).messages) == len(show.public.posts)


async def test_a_second_demo_leaves_the_first_ones_files_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Folder(tmp_path / "demo")
    folder.fresh()
    folder.database.write_text("the first one's")
    with folder.held():
        assert await main(folder) == 1
    assert "A demo runs already (process" in capsys.readouterr().out
    assert folder.database.read_text() == "the first one's"
    # Whoever has ended is in nobody's way.
    with folder.held():
        pass


@pytest.mark.slow
async def test_without_a_terminal_it_says_why_it_ends_and_its_administrator_may_speak_english(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.delenv("ONCE", raising=False)
    monkeypatch.setenv("DEMO_LANGUAGE", "en")
    status = await main(Folder(tmp_path / "demo"))
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert printed.rstrip().endswith(NO_TERMINAL)
    assert re.search(r"Metka │ 📊 You have \d+ posts", printed)
    assert "volcano, ocean, geology" in printed.replace(" · ", ", ")
    assert "The tags are simulated" in printed
