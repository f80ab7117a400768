"""Every text exists in both languages, and no value can break a message."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Formatter
from zoneinfo import ZoneInfo

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from bot import views
from bot.i18n import LOCALES, I18n, Texts
from bot.views import alerts
from bot.views import help as help_views
from bot.views.channels import channels, following, imports
from bot.views.channels import hashtags as hashtag_views
from bot.views.channels.channel_news import channel_added, channel_news
from bot.views.common import shorten
from bot.views.posts import find, forwards, posts, retry_run, stats
from bot.views.tags import rules as rule_views
from services.accounts.people import LANGUAGES
from services.availability.provider_status import ModelAside, ProviderState, Quota
from services.following.channel_names import Reason, Unusable
from services.following.service import AddOutcome, AddResult, ChannelCard, ChannelPage, ChannelProblem
from services.hashtags.service import HashtagChannel, HashtagChannels
from services.ingest.imports import Import, ImportResult
from services.library.bot_queries import AttemptView, FailedPage, PostCard, Stats
from services.library.search import FoundPage
from services.sources.export.file import ExportFault
from services.tagging.rules_trial import TriedPost
from services.tagging.service import RetryProgress
from services.tags.rules import Rules, RuleSettings
from services.tags.user_rules import RuledChannel, RulesInForce
from services.text import units

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
    assert (english.percent(3348, 3350), english.percent(3350, 3350)) == ("99%", "100%")


def test_how_long_ago_is_said_in_the_persons_language() -> None:
    assert texts("en").ago(NOW - timedelta(minutes=5)) == "5 minutes ago"
    assert texts("ru").ago(NOW - timedelta(minutes=5)) == "5 минут назад"
    assert texts("ru").ago(NOW - timedelta(hours=21)) == "21 час назад"
    # Clocks of several machines differ.
    assert texts("en").ago(NOW + timedelta(minutes=1)) == "1 second ago"


def test_hashtags_are_told_in_clear_words() -> None:
    """`may not` can also mean `perhaps not`; a channel's title is in quotes."""
    assert hashtag_views.no_right(texts("en"), "X").startswith("I am not allowed to edit messages in")
    assert not [msgid for msgid in map(str, used()) if "I may not" in msgid]
    assert "в канале «Мой канал»?" in hashtag_views.ask(texts("ru"), "Мой канал")


def test_channels_are_told_in_natural_words() -> None:
    """Plurals in both languages, and the most important fact first."""
    english, russian = texts("en"), texts("ru")
    usual = channel(
        title="Город", username="gorod", posts=120, tagged=114, problem=None, older_wanted=0, checked_at=NOW
    )
    assert channels.card(english, usual) == (
        '<a href="https://t.me/gorod"><b>Город</b></a>\n120 posts, 95% tagged\nchecked 1 second ago'
    )
    assert "22 поста, с тегами" in channels.card(russian, channel(posts=22))
    assert "Его 21 пост останется" in channels.remove_question(russian, channel(posts=21))
    news = {"text": "added", "channel": 1, "name": "gorod", "title": "Город", "posts": 50, "at_beginning": False}
    assert "<b>Город</b> (@gorod): прочитано 50 постов." in channel_news(russian, news)
    gone = {"text": "gone", "name": "gorod", "title": "", "first": False}
    assert "/remove @gorod" in channel_news(english, gone)


def test_statistics_tell_those_with_tags_only_where_they_are_not_the_tagged_ones() -> None:
    shown = ProviderState(True, "open", None, None, None, ("a",), ())
    same, more = (Stats(9, {"success": 7, "pending": 2}, tags, 2, None, 1) for tags in (7, 8))
    assert "With tags" not in stats.stats(texts("en"), same, shown, everybody=False, now=NOW)
    assert "With tags: 8" in stats.stats(texts("en"), more, shown, everybody=False, now=NOW)


@pytest.mark.parametrize(
    ("language", "reason", "said", "not_said"),
    [
        ("en", "HTTP 402: the account is out of credit: “Add credits”", ("out of credit.", "“Add credits”"), ("key",)),
        ("ru", "HTTP 402: the account is out of credit", ("кончились деньги",), ("ключ", "администратор")),
        ("en", "HTTP 401: the API key was not accepted", ("does not accept the API key",), ("credit",)),
    ],
)
def test_in_a_pause_statistics_do_not_contradict_themselves(
    language: str, reason: str, said: tuple[str, ...], not_said: tuple[str, ...]
) -> None:
    """No requests left and no forecast, which hold only while requests go out; nothing about counts of zero."""
    paused = ProviderState(
        True, "paused", NOW, NOW, reason, ("a",), (), Quota(50, 37, NOW), through_at=NOW, next_batch_at=None
    )
    found = Stats(9, {"success": 7, "pending": 2, "failed": 0}, 7, 2, None, 1)
    text = stats.stats(texts(language), found, paused, everybody=False, now=NOW, admin=True)
    assert all(words in text for words in said)
    assert not [words for words in (*not_said, "37", "0%", "The administrators", "Администраторы") if words in text]
    others = stats.stats(texts(language), found, paused, everybody=False, now=NOW)
    assert "he administrators" in others or "Администраторы" in others
    going_on = replace(paused, state="open", reason=None)
    assert "37" in stats.stats(texts(language), found, going_on, everybody=False, now=NOW)


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_has_no_posts_is_told_how_to_add_some(language: str) -> None:
    shown = ProviderState(True, "open", None, None, None, ("a",), ())
    text = stats.stats(texts(language), Stats(0, {}, 0, 0, None, 1), shown, everybody=False, now=NOW)
    assert "/add" in text
    assert "0%" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_lines_of_help_fit_a_phone(language: str) -> None:
    lines = help_views.help_text(texts(language), admin=True, enabled=True).splitlines()
    commands = [line for line in lines if line.startswith("/")]
    assert len(commands) >= 13
    assert [line for line in commands if units(line) > 38] == []


@pytest.mark.parametrize(
    ("failed", "first", "last"),
    [(0, "✅ <b>Done</b>", "⏳ 0"), (2, "⚠️ <b>Done</b>, with some failures", "/failed")],
)
def test_a_retry_in_which_posts_failed_does_not_end_as_if_all_were_well(failed: int, first: str, last: str) -> None:
    """It says so in the first line, and where the reasons are."""
    state = RetryProgress(1, 1, 1, 1, 5, 5 - failed, failed, 0, 0, True, False, None, False)
    text = retry_run.progress(texts("en"), state, paused=False)
    assert text.startswith(first)
    assert text.endswith(last)


def test_that_no_model_is_left_is_not_said_to_be_silence() -> None:
    gone = ModelAside("a", "gone", None)
    shown = ProviderState(True, "down", NOW, NOW, None, ("a", "b"), (gone, ModelAside("b", "gone", None)))
    assert "None of the models is offered any more" in posts.queued(texts("en"), 1, shown)
    assert "does not answer" in posts.queued(texts("en"), 1, replace(shown, aside=(gone,)))


def test_shortening_counts_utf16_and_never_halves_a_character() -> None:
    assert shorten("😀" * 10, 10) == "😀" * 4 + "…"
    assert units(shorten("я" * 500, 100)) == 100
    assert shorten(" a\n b ", 10) == "a b"
    assert shorten("\ud800x", 10) == "?x"


def card(**values: object) -> PostCard:
    """A post with values of extreme length."""
    attempt = AttemptView(NOW, NASTY * 50, NASTY * 50, NASTY * 20, 503, 61.234, NASTY * 99)
    worst: dict[str, object] = {
        "id": 2**31 - 1,
        "channel_title": NASTY * 50,
        "channel_username": "x" * 300,
        "text": NASTY * 500,
        "url": "https://t.me/" + '"<&' * 100,
        "tags": (NASTY * 20,) * 60,
        "status": "failed",
        "attempts": 5,
        "error": NASTY * 100,
        "next_attempt_at": NOW,
        "failure_kind": "exhausted",
        "skipped": False,
        "leased": False,
        "attempt_log": (attempt,) * 5,
        "gone_at": NOW,
    }
    return PostCard(**{**worst, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(("language", "words"), [("en", "🗑 Deleted in the channel ("), ("ru", "🗑 Удалён из канала (")])
def test_a_card_says_that_its_post_was_deleted_and_keeps_the_link(language: str, words: str) -> None:
    there, gone = card(url="https://t.me/a/1", gone_at=None), card(url="https://t.me/a/1")
    assert words not in posts.card(texts(language), there)
    assert words in posts.card(texts(language), gone)
    assert 'href="https://t.me/a/1"' in posts.card(texts(language), gone)


@pytest.mark.parametrize(
    ("language", "values", "words"),
    [
        ("en", {"status": "success", "failure_kind": "none_fits"}, "None of your tags fits."),
        ("ru", {"status": "success", "failure_kind": "none_fits"}, "Ни один из ваших тегов не подходит."),
        ("en", {"status": "skipped", "failure_kind": "off"}, "Tagging was off by your /rules"),
        ("ru", {"status": "skipped", "failure_kind": "off"}, "разметка была выключена в /rules"),
    ],
)
def test_a_post_without_tags_says_why(language: str, values: dict[str, object], words: str) -> None:
    post = card(error=None, tags=(), skipped=False, **values)
    assert words in posts.card(texts(language), post)
    assert words in posts.result(texts(language), post)


def channel(**values: object) -> ChannelCard:
    """A channel with values of extreme length."""
    worst: dict[str, object] = {
        "id": 2**31 - 1,
        "title": NASTY * 50,
        "username": NASTY * 20,
        "is_read": True,
        "is_paused": False,
        "posts": 10**9,
        "tagged": 10**9 - 1,
        "checked_at": NOW - timedelta(days=400),
        "next_check_at": NOW,
        "problem": ChannelProblem.GONE,
        "problem_since": NOW - timedelta(days=400),
        "older_wanted": 10**9,
        "older_read": 10**9,
        "at_beginning": False,
    }
    return ChannelCard(**{**worst, **values})  # type: ignore[arg-type]


def channel_messages(t: Texts) -> Iterator[str]:
    """All messages about channels, with extreme values."""
    yield channels.channels(t, ChannelPage([channel()] * 6, 33, 34, 200))
    yield channels.channels(t, ChannelPage([], 1, 1, 0))
    for problem in (*ChannelProblem, None):
        yield channels.card(t, channel(problem=problem))
    for values in ({"is_read": False}, {"is_paused": True}, {"posts": 0}, {"username": None, "title": ""}):
        yield channels.card(t, channel(**values))
        yield channels.remove_question(t, channel(**values))
    added = [AddResult("a" * 32, outcome) for outcome in AddOutcome] * 17
    words = [Unusable(NASTY * 99, reason) for reason in Reason] * 9
    yield following.additions(t, added[:50], words)
    yield following.removed(t, ["a" * 32] * 25, ["a" * 32] * 25, words)
    yield from (following.offer(t, NASTY), following.known(t, NASTY))
    yield from (following.reading(t, NASTY), following.usage_remove(t), following.no_public_name(t))
    for kind in ("added", "older", "gone", "back", "renamed", "delayed", NASTY * 99, None):
        names = {"name": NASTY * 99, "old": NASTY * 99, "title": NASTY * 99}
        for flag, number in ((True, 10**9), (False, 0)):
            flags = dict.fromkeys(("first", "done", "at_beginning"), flag)
            yield channel_news(t, {"text": kind, "posts": number, "read": number, **names, **flags})
        yield channel_news(t, {"text": kind, "some": number, "problem": kind, **names})
        yield channel_news(t, {"text": kind, "posts": "x", "name": None, "title": 7})


def found_messages(t: Texts) -> Iterator[str]:
    """All messages about search, with extreme values."""
    for shown in (FoundPage((card(),) * 10, 99, True, True), FoundPage((), 1), FoundPage((), 2)):
        yield from (find.found(t, NASTY * 9, shown), find.latest(t, shown), find.related(t, 2**31 - 1, shown))
    yield from (find.shared(t, card()), find.shared(t, card(text=None, tags=(), url=None)))
    yield from (find.how_to_find(t), find.bad_since(t), find.search_off(t), find.draft(t))
    yield from (find.unknown_command(t, f"/{NASTY * 99}"), forwards.from_person(t, has_text=True))


def messages(t: Texts) -> Iterator[str]:
    """All messages, with extreme values."""
    state = ProviderState(
        True, "open", None, NOW, NASTY * 99, (NASTY * 50,) * 5, (ModelAside(NASTY * 99, "gone", NOW),) * 9
    )
    big = Stats(10**9, dict.fromkeys(("pending", "success"), 10**9), 10**9, 10**9, NOW + timedelta(days=1), 10**6)
    for status in ("pending", "retrying", "success", "failed", "skipped"):
        post = card(status=status)
        yield from (posts.card(t, post), posts.result(t, post), posts.failed_one(t, post))
        unread = card(status=status, failure_kind="unsupported")
        yield from (posts.card(t, unread), posts.result(t, unread))
        yield from (posts.result(t, card(status=status, error=None)), posts.card(t, card(status=status, leased=True)))
    yield posts.failed_several(t, [card()] * 10, 5000)
    yield posts.failed_page(t, FailedPage((card(),) * 10, 3, 500, 5000))
    for name in ("open", "paused", "limited", "down", "disabled"):
        shown = ProviderState(name != "disabled", name, NOW, NOW, NASTY, state.models, state.aside)
        yield stats.stats(t, big, shown, everybody=True, now=NOW)
        yield from (posts.queued(t, 2**31 - 1, shown), forwards.saved(t, 2**31 - 1, shown))
    for finished, stopped, late in ((True, False, False), (False, True, False), (False, False, True)):
        batch = RetryProgress(1, 1, 1, 1, 9**9, 1, 1, 1, 1, finished, stopped, NOW, late)
        yield retry_run.progress(t, batch, paused=False)
    for name in (
        "access",
        "approved",
        "declined",
        "account",
        "outage",
        "recovered",
        "unreadable",
        "update_fields",
        NASTY * 99,
    ):
        payload = {
            "text": name,
            "field": NASTY * 99,
            "reason": NASTY * 99,
            "name": NASTY * 99,
            "username": NASTY * 99,
            "person": 1,
        }
        yield alerts.alert(t, payload)
    yield from channel_messages(t)
    yield from found_messages(t)
    yield from (help_views.help_text(t, admin=True, enabled=False), help_views.start(t, enabled=False))
    yield channel_added(t, NASTY * 50, may_use=True)
    skipped = dict.fromkeys(("service", "unreadable", "unsupported", "damaged"), 10**9)
    many = ImportResult(10**9, 10**9, 10**9, 10**9, 10**8, skipped, 10**6, 10**5)
    work = Import(1, 1, many, NOW, NASTY * 50, "file", 2**53, 1, 1)
    yield from (
        imports.received(t, NASTY * 50),
        imports.progress(t, work, many, "<1%"),
        imports.finished(t, work, many),
    )
    yield from (imports.personal_left_out(t, work), imports.personal_tagged(t, work, 10**9))
    yield from (imports.failed(t, work, many, fault) for fault in ExportFault)
    yield from (imports.too_big(t, 2**53, admin=admin) for admin in (True, False))
    yield from (imports.lost(t), imports.web_pages(t), imports.went_wrong(t), imports.not_an_export(t))
    channel = HashtagChannel(1, NASTY * 50, is_on=True, can_edit=None)
    yield from (hashtag_views.listed(t, HashtagChannels((channel,) * found)) for found in (0, 40))
    yield from (hashtag_views.ask(t, NASTY * 50), hashtag_views.no_right(t, NASTY * 50))
    long = RuleSettings(instruction=NASTY * 25)
    for channel_rules in (None, RuledChannel(1, NASTY * 50, is_overridden=True)):
        found = RulesInForce(RuleSettings(), Rules(), channel_rules)
        yield rule_views.rules(t, found, long, Rules(instruction=NASTY * 25))
        yield rule_views.rules(t, found, RuleSettings(), Rules(instruction=NASTY * 25))
    yield rule_views.ask_instruction(t, "https://t.me/?rules=x", NASTY * 25)
    long_tags = (NASTY * 20,) * 30
    tried = [TriedPost(1, NASTY * 99, NASTY, long_tags, new) for new in (long_tags[:10], (), None, long_tags[:10])]
    yield rule_views.tried(t, tried)
    yield posts.card(t, card(status="success", error=None, tags=(), failure_kind="none_fits"))
    yield posts.card(t, card(status="skipped", skipped=False, failure_kind="off"))
    kinds = ("hashtags_off", "taken_out", "hashtags_removed", "hashtags_stay", NASTY * 99)
    yield from (channel_news(t, {"text": text, "title": NASTY * 50}) for text in kinds)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_is_too_long_or_holds_html_of_others(language: str) -> None:
    for message in messages(texts(language)):
        parsed = html.unescape(re.sub(r"</?(?:b|i|code|a)(?: href=\"[^\"<>]*\")?>", "", message))
        assert units(parsed) <= 4096
        bare = re.sub(r"</?(?:b|i|code|a)(?: href=\"[^\"<>]*\")?>", "", message)
        assert "<" not in bare
        assert ">" not in bare
        assert not re.search(r"&(?!(?:amp|lt|gt|quot|#x27);)", message)


def test_times_are_in_the_persons_own_time_zone() -> None:
    made = I18n(ZoneInfo("UTC"), lambda: NOW)
    assert made.texts("en", "Asia/Tokyo").time(NOW) == "21:00"
    assert made.texts("ru").place("Asia/Kolkata").endswith(", UTC+5:30")
    assert made.texts("ru").place("Europe/Moscow") == "Москва, UTC+3"
    assert made.texts("en").time(NOW) == "12:00 UTC"
