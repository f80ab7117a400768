"""Texts, numbers and times in a person's language, from gettext catalogues whose msgids are English."""

import gettext
import html
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, format_timedelta, get_timezone_location
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent

from services.accounts.people import LANGUAGES
from services.clock import zone_or

LOCALES = Path(__file__).parent / "locales"


class Html(str):
    """HTML in which all values are escaped."""

    __slots__ = ()


def escape(value: object) -> Html:
    """Turn text into HTML. Html stays as it is."""
    return value if isinstance(value, Html) else Html(html.escape(str(value), quote=True))


def join(separator: str, parts: list[Html] | tuple[Html, ...]) -> Html:
    return Html(separator.join(parts))


class Texts:
    def __init__(
        self, language: str, catalogue: gettext.NullTranslations, timezone: ZoneInfo, clock: Callable[[], datetime]
    ) -> None:
        self.language = language
        self._catalogue = catalogue
        self._timezone = timezone
        self._clock = clock

    def in_zone(self, name: str) -> "Texts":
        return Texts(self.language, self._catalogue, zone_or(name, self._timezone), self._clock)

    def place(self, zone: str) -> str:
        """The city of a time zone, and its offset now: "Moscow, UTC+3"."""
        city = get_timezone_location(zone, locale=self.language, return_city=True)
        offset = self._clock().astimezone(ZoneInfo(zone)).strftime("%z")
        minutes = "" if offset.endswith("00") else f":{offset[3:]}"
        return "UTC" if zone == "UTC" else f"{city}, UTC{offset[0]}{int(offset[1:3])}{minutes}"

    def _(self, message: str, /, **values: object) -> Html:
        """A text as HTML. Each `{name}` is replaced by its value, escaped."""
        return self._fill(self._catalogue.gettext(message), values)

    def ngettext(self, one: str, many: str, count: int, /, **values: object) -> Html:
        return self._fill(self._catalogue.ngettext(one, many, count), {"count": count, **values})

    def plain(self, message: str, /, **values: object) -> str:
        shown = {name: self._show(value) for name, value in values.items()}
        return self._catalogue.gettext(message).format(**shown)

    def number(self, value: float) -> str:
        return format_decimal(value, locale=self.language)

    def percent(self, part: int, whole: int) -> str:
        """Without decimals. 0 % is only nothing, and 100 % only the whole."""
        share = part / whole if whole else 0.0
        sign = "<" if 0 < share < 0.01 else ""
        shown = max(round(share * 100), 1) if part else 0
        return sign + format_percent((min(shown, 99) if part < whole else shown) / 100, locale=self.language)

    def seconds(self, value: float) -> str:
        return format_decimal(value, format="#,##0.0", locale=self.language)

    def time(self, moment: datetime) -> str:
        """HH:MM, with the date unless it is today, and with "UTC" in that time zone."""
        local = moment.astimezone(self._timezone)
        today = self._clock().astimezone(self._timezone).date() == local.date()
        shown = format_datetime(local, "HH:mm" if today else "d MMM HH:mm", locale=self.language)
        return f"{shown} UTC" if self._timezone.key == "UTC" else shown

    def ago(self, moment: datetime) -> str:
        """The time passed, in one unit: "5 minutes ago"."""
        passed = max(self._clock() - moment, timedelta(seconds=1))
        return format_timedelta(-passed, threshold=1, add_direction=True, locale=self.language)

    def _fill(self, message: str, values: Mapping[str, Any]) -> Html:
        return Html(message.format(**{name: escape(self._show(value)) for name, value in values.items()}))

    def _show(self, value: object) -> object:
        if isinstance(value, int) and not isinstance(value, bool):
            return self.number(value)
        return self.time(value) if isinstance(value, datetime) else value


class I18n:
    def __init__(self, timezone: ZoneInfo, clock: Callable[[], datetime], folder: Path = LOCALES) -> None:
        self._texts = {
            language: Texts(language, _load(folder / language / "LC_MESSAGES" / "metka.po", language), timezone, clock)
            for language in LANGUAGES
        }

    def texts(self, language: str | None, time_zone: str | None = None) -> Texts:
        """The texts for a language code such as "ru" or "ru-RU"; English for an unknown one."""
        code = (language or "").replace("_", "-").split("-")[0].lower()
        found = self._texts.get(code, self._texts["en"])
        return found.in_zone(time_zone) if time_zone else found


def _load(path: Path, language: str) -> gettext.GNUTranslations:
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
