"""PURE: how languages write numbers and dates, as the Unicode CLDR has it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Formats:
    """One language's. No numerals but 0–9, and groups of three of them."""

    group: str
    decimal: str
    percent: str
    #: As they are in a date.
    months: tuple[str, ...]

    def number(self, value: float, decimals: int | None = None) -> str:
        """With so many decimals, or those that there are, three at most."""
        # As it is written: binary 0.35 is less, and would be rounded down.
        exact = Decimal(str(value))
        shown = f"{exact:,.{3 if decimals is None else decimals}f}"
        if decimals is None:
            shown = shown.rstrip("0").rstrip(".")
        return shown.translate({ord(","): self.group, ord("."): self.decimal})

    def date(self, day: date) -> str:
        """Day and month."""
        return f"{day.day} {self.months[day.month - 1]}"


FORMATS = {
    "en": Formats(
        ",", ".", "{}%", ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    ),
    "ru": Formats(
        "\N{NO-BREAK SPACE}",
        ",",
        "{}\N{NO-BREAK SPACE}%",
        ("янв.", "февр.", "мар.", "апр.", "мая", "июн.", "июл.", "авг.", "сент.", "окт.", "нояб.", "дек."),
    ),
}
