"""Every text exists in both languages, and none can break a message."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Formatter
from zoneinfo import ZoneInfo

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from bot import views
from bot.i18n import LANGUAGES, LOCALES, I18n, Texts
from bot.views import access, news, posts, stats
from bot.views import hashtags as hashtag_views
from bot.views import help as help_views
from bot.views.common import shorten, units
from services.channel_hashtags import HashtagChannel, HashtagChannels
from services.overview import AttemptView, FailedPage, PostCard, Stats
from services.provider_state import ModelAside, ProviderState
from services.tagging import RetryProgress

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BOT = Path(views.__file__).parents[1]
NASTY = "<b>&\"'</i> {x} %s 😀 "


def texts(language: str, zone: str = "UTC") -> Texts:
    return I18n(ZoneInfo(zone), lambda: NOW).texts(language)


def used() -> Iterator[str | tuple[str, str]]:
    """The msgids in the code."""
    for path in BOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            words = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if node.func.attr == "ngettext" and len(words) == 2:
                yield words[0], words[1]
            elif node.func.attr in {"_", "plain"} and words:
                yield words[0]


def catalogue(language: str) -> Catalog:
    with (LOCALES / language / "LC_MESSAGES" / "metka.po").open("rb") as file:
        return read_po(file, locale=language)


def fields(text: str) -> set[str | None]:
    return {field for _, field, _, _ in Formatter().parse(text) if field is not None}


def tags_of(text: str) -> list[str]:
    return sorted(re.findall(r"</?\w+>", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_with_the_same_placeholders_and_tags(language: str) -> None:
    known = {
        message.id if isinstance(message.id, str) else tuple(message.id): message for message in catalogue(language)
    }
    known.pop("", None)
    assert set(used()) == set(known)
    for msgid, message in known.items():
        source = msgid if isinstance(msgid, str) else msgid[1]
        strings = [message.string] if isinstance(message.string, str) else list(message.string or ())
        assert strings
        for string in strings:
            assert string, source
            assert fields(string) == fields(source), source
            assert tags_of(string) == tags_of(source), source


def test_numbers_and_times_are_written_as_the_language_does() -> None:
    english, russian = texts("en"), texts("ru-RU", "Europe/Moscow")
    assert english.number(12345) == "12,345"
    assert russian.number(12345).replace("\xa0", " ") == "12 345"
    assert english.time(NOW) == "12:00 UTC"
    assert russian.time(NOW) == "15:00"
    assert english.time(NOW + timedelta(days=1)) == "3 Mar 12:00 UTC"
    assert texts("de").language == "en"
    assert russian.ngettext("{count} attempt so far", "{count} attempts so far", 22) == "Пока 22 попытки"
    assert english.percent(1, 1000) == "<1%"
    assert english.percent(0, 0) == "0%"


def test_shortening_counts_utf16_and_never_halves_a_character() -> None:
    assert shorten("😀" * 10, 10) == "😀" * 4 + "…"
    assert units(shorten("я" * 500, 100)) == 100
    assert shorten(" a\n b ", 10) == "a b"
    assert shorten("\ud800x", 10) == "?x"


def card(**values: object) -> PostCard:
    """The longest post there can be."""
    attempt = AttemptView(NOW, NASTY * 50, NASTY * 50, NASTY * 20, 503, 61.234, NASTY * 99)
    worst: dict[str, object] = {
        "id": 2**31 - 1,
        "user_id": 1,
        "owner_telegram_id": 1,
        "channel_title": NASTY * 50,
        "channel_username": "x" * 300,
        "text": NASTY * 500,
        "url": "https://t.me/" + '"<&' * 100,
        "posted_at": NOW,
        "tags": (NASTY * 20,) * 60,
        "status": "failed",
        "attempts": 5,
        "error": NASTY * 100,
        "next_attempt_at": NOW,
        "requested": False,
        "failure_kind": "exhausted",
        "skipped": False,
        "leased": False,
        "attempt_log": (attempt,) * 5,
    }
    return PostCard(**{**worst, **values})  # type: ignore[arg-type]


def messages(t: Texts) -> Iterator[str]:
    """Every view, with the worst values."""
    state = ProviderState(
        True, "open", None, NOW, NASTY * 99, (NASTY * 50,) * 5, (ModelAside(NASTY * 99, "gone", NOW),) * 9
    )
    big = Stats(10**9, dict.fromkeys(("pending", "success"), 10**9), 10**9, 10**9, NOW + timedelta(days=1), 10**6)
    for status in ("pending", "retrying", "success", "failed", "skipped"):
        post = card(status=status)
        yield from (posts.card(t, post), posts.result(t, post), posts.failed_one(t, post))
        yield from (posts.result(t, card(status=status, error=None)), posts.card(t, card(status=status, leased=True)))
    yield posts.failed_several(t, [card()] * 10, 5000)
    yield posts.failed_page(t, FailedPage((card(),) * 10, 3, 500, 5000))
    for name in ("open", "paused", "limited", "down", "disabled"):
        shown = ProviderState(name != "disabled", name, NOW, NOW, NASTY, state.models, state.aside)
        yield stats.stats(t, big, shown, everybody=True, now=NOW)
    for finished, stopped, late in ((True, False, False), (False, True, False), (False, False, True)):
        batch = RetryProgress(1, 1, 1, 1, 9**9, 1, 1, 1, 1, finished, stopped, NOW, late)
        yield stats.progress(t, batch, paused=False)
    for name in ("access", "approved", "declined", "account", "outage", "recovered", NASTY * 99):
        payload = {"text": name, "reason": NASTY * 99, "name": NASTY * 99, "username": NASTY * 99, "person": 1}
        yield access.admin(t, {**payload, "until": NOW.isoformat()})
    yield from (help_views.help_text(t, admin=True, enabled=False), help_views.start(t, enabled=False))
    yield help_views.channel_added(t, NASTY * 50, may_use=True)
    channel = HashtagChannel(1, NASTY * 50, is_on=True, can_edit=None)
    yield from (hashtag_views.listed(t, HashtagChannels((channel,) * found)) for found in (0, 40))
    yield from (hashtag_views.ask(t, NASTY * 50), hashtag_views.no_right(t, NASTY * 50))
    yield from (news.channel_news(t, {"text": text, "title": NASTY * 50}) for text in ("hashtags_off", NASTY * 99))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_is_too_long_or_holds_html_of_others(language: str) -> None:
    for message in messages(texts(language)):
        parsed = html.unescape(re.sub(r"</?(?:b|i|code|a)(?: href=\"[^\"<>]*\")?>", "", message))
        assert units(parsed) <= 4096
        bare = re.sub(r"</?(?:b|i|code|a)(?: href=\"[^\"<>]*\")?>", "", message)
        assert "<" not in bare
        assert ">" not in bare
        assert not re.search(r"&(?!(?:amp|lt|gt|quot|#x27);)", message)
