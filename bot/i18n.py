"""Texts in a person's language: gettext catalogues, numbers and times. English is the language of the msgids."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.catalogue import Catalogue, read_catalogue
from bot.formats import FORMATS, Formats

LOCALES = Path(__file__).parent / "locales"
LANGUAGES = tuple(FORMATS)

MINUTE, HOUR, DAY = 60, 3600, 86400


class Html(str):
    """A string that is HTML already: its values were escaped when it was made."""

    __slots__ = ()


def escape(value: object) -> Html:
    """The one place where text of users, channels and providers becomes HTML."""
    return value if isinstance(value, Html) else Html(html.escape(str(value), quote=True))


def join(separator: str, parts: list[Html] | tuple[Html, ...]) -> Html:
    """Parts that are HTML, joined."""
    return Html(separator.join(parts))


class Texts:
    """One language: texts with their values put in, numbers and times as its speakers write them."""

    def __init__(
        self, language: str, catalogue: Catalogue, formats: Formats, timezone: ZoneInfo, clock: Callable[[], datetime]
    ) -> None:
        self.language = language
        self._catalogue = catalogue
        self._formats = formats
        self._timezone = timezone
        self._clock = clock

    def _(self, message: str, /, **values: object) -> Html:
        """A text as HTML: `{name}` stands for a value, which is escaped."""
        return self._fill(self._catalogue.gettext(message), values)

    def ngettext(self, one: str, many: str, count: int, /, **values: object) -> Html:
        """A text that depends on a number, which it may show as `{count}`."""
        return self._fill(self._catalogue.ngettext(one, many, count), {"count": count, **values})

    def plain(self, message: str, /, **values: object) -> str:
        """A text that Telegram shows as it is: a button's, or an answer to a press."""
        shown = {name: self._show(value) for name, value in values.items()}
        return self._catalogue.gettext(message).format(**shown)

    def number(self, value: float) -> str:
        """12345 → 12,345 or 12 345."""
        if isinstance(value, int) and 0 <= value < 1000:
            # As everywhere: there is nothing to group.
            return str(value)
        return self._formats.number(value)

    def percent(self, part: int, whole: int) -> str:
        """A share of a whole, without decimals; a part that is there is never 0 %, and only the whole is 100 %."""
        share = part / whole if whole else 0.0
        sign = "<" if 0 < share < 0.01 else ""
        shown = max(round(share * 100), 1) if part else 0
        return sign + self._formats.percent.format(min(shown, 99) if part < whole else shown)

    def seconds(self, value: float) -> str:
        """A duration's number with one decimal."""
        return self._formats.number(value, decimals=1)

    def time(self, moment: datetime) -> str:
        """HH:MM, with the date when it is not today, and with UTC named."""
        local = moment.astimezone(self._timezone)
        today = self._clock().astimezone(self._timezone).date() == local.date()
        shown = f"{local:%H:%M}" if today else f"{self._formats.date(local)} {local:%H:%M}"
        return f"{shown} UTC" if self._timezone.key == "UTC" else shown

    def ago(self, moment: datetime) -> Html:
        """How long ago in the largest unit that has passed once: "5 minutes ago"."""
        passed = max(int((self._clock() - moment).total_seconds()), 1)
        if passed < MINUTE:
            return self.ngettext("{count} second ago", "{count} seconds ago", passed)
        if passed < HOUR:
            return self.ngettext("{count} minute ago", "{count} minutes ago", round(passed / MINUTE))
        if passed < DAY:
            return self.ngettext("{count} hour ago", "{count} hours ago", round(passed / HOUR))
        return self._days_ago(passed / DAY)

    def _days_ago(self, days: float) -> Html:
        if days < 7:
            return self.ngettext("{count} day ago", "{count} days ago", round(days))
        if days < 30:
            return self.ngettext("{count} week ago", "{count} weeks ago", round(days / 7))
        if days < 365:
            return self.ngettext("{count} month ago", "{count} months ago", round(days / 30))
        return self.ngettext("{count} year ago", "{count} years ago", round(days / 365))

    def _fill(self, message: str, values: Mapping[str, Any]) -> Html:
        if not values:
            return Html(message.format())
        return Html(message.format(**{name: escape(self._show(value)) for name, value in values.items()}))

    def _show(self, value: object) -> object:
        if isinstance(value, int) and not isinstance(value, bool):
            return self.number(value)
        return self.time(value) if isinstance(value, datetime) else value


class I18n:
    """Every language's texts; read once, at start."""

    def __init__(self, timezone: ZoneInfo, clock: Callable[[], datetime], folder: Path = LOCALES) -> None:
        self._texts = {
            language: Texts(
                language, read_catalogue(folder / language / "LC_MESSAGES" / "metka.po"), formats, timezone, clock
            )
            for language, formats in FORMATS.items()
        }

    def texts(self, language: str | None) -> Texts:
        """The texts of a language by its code ("ru", "ru-RU"); of English for any other."""
        code = (language or "").replace("_", "-").split("-")[0].lower()
        return self._texts.get(code, self._texts["en"])
