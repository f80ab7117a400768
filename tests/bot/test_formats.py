"""Texts, numbers and times are what Babel, and with it the Unicode CLDR, makes of the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel import Locale
from babel.dates import format_date, format_timedelta
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from hypothesis import given
from hypothesis import strategies as st

from bot.catalogue import read_catalogue
from bot.formats import FORMATS
from bot.i18n import LANGUAGES, LOCALES, I18n

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
I18N = I18n(ZoneInfo("UTC"), lambda: NOW)
languages = st.sampled_from(LANGUAGES)


def po(language: str) -> Path:
    return LOCALES / language / "LC_MESSAGES" / "metka.po"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_holds_what_babel_reads(language: str) -> None:
    with po(language).open("rb") as file:
        read = [(message.id, message.string or "") for message in read_po(file, locale=language) if message.id]
    singular = {msgid: (text,) for msgid, text in read if isinstance(msgid, str)}
    plural = {msgid[0]: tuple(forms) for msgid, forms in read if not isinstance(msgid, str)}
    assert singular
    assert plural
    assert read_catalogue(po(language)).texts == singular | plural


@given(languages, st.integers(0, 10**6))
def test_a_number_has_the_form_that_its_language_gives_it(language: str, count: int) -> None:
    locale = Locale.parse(language)
    forms = [name for name in ("one", "few", "many", "other") if name in {*locale.plural_form.rules, "other"}]
    assert forms[read_catalogue(po(language)).form(count)] == locale.plural_form(count)


def test_strings_are_put_together_and_unescaped(tmp_path: Path) -> None:
    """A text over several lines, an escaped one, a comment that looks like one; what is not there is its msgid."""
    file = tmp_path / "some.po"
    file.write_text(
        'msgid ""\nmsgstr ""\n"Language: en\\n"\n"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
        '#~ msgid "old"\n#~ msgstr "older"\n#: a.py:1\nmsgid ""\n"a "\n"b"\nmsgstr "A\\n\\"B\\" "\n"\\\\C"\n'
    )
    found = read_catalogue(file)
    assert found.texts == {"a b": ('A\n"B" \\C',)}
    assert found.gettext("old") == "old"
    assert [found.ngettext("one", "many", count) for count in (1, 2)] == ["one", "many"]


def test_a_catalogue_without_a_rule_for_plurals_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "some.po"
    file.write_text('msgid ""\nmsgstr "Language: en\\n"\n')
    with pytest.raises(ValueError, match="Plural-Forms"):
        read_catalogue(file)


@given(languages, st.integers(-(10**12), 10**12) | st.floats(0, 10**9))
def test_numbers_are_grouped_and_rounded(language: str, value: float) -> None:
    formats = FORMATS[language]
    assert formats.number(value) == format_decimal(value, locale=language)
    assert formats.number(value, decimals=1) == format_decimal(value, format="#,##0.0", locale=language)


@given(languages, st.integers(0, 100))
def test_percents_are_set_as_usual(language: str, value: int) -> None:
    assert FORMATS[language].percent.format(value) == format_percent(value / 100, locale=language)


@given(languages, st.dates())
def test_dates_have_the_months_of_the_language(language: str, day: date) -> None:
    assert FORMATS[language].date(day) == format_date(day, "d MMM", locale=language)


@given(languages, st.integers(1, 10**9))
def test_how_long_ago_is_told_in_the_largest_unit(language: str, seconds: int) -> None:
    passed = timedelta(seconds=seconds)
    told = format_timedelta(-passed, threshold=1, add_direction=True, locale=language)
    assert I18N.texts(language).ago(NOW - passed) == told
