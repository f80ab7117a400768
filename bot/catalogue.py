"""A language's texts as gettext has them, read from its .po file.

Babel reads such files too, and knows every language's numbers and times, at the price of 7 MB that stay and of a sixth
of a second of each start. It reads the same files in the tests, to compare.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from gettext import c2py
from pathlib import Path

_LINE = re.compile(r'(?:(msgid|msgid_plural|msgstr(?:\[[0-9]\])?) )?(".*")')
_PLURAL = re.compile(r"^Plural-Forms:.*\bplural=(.*);$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Texts by their msgid; those that depend on a number, in all their forms."""

    texts: Mapping[str, tuple[str, ...]]
    form: Callable[[int], int]

    def gettext(self, message: str) -> str:
        """A text, or its msgid when it is not translated."""
        return self.texts.get(message, (message,))[0]

    def ngettext(self, one: str, many: str, count: int) -> str:
        """The form of a text that belongs to a number."""
        forms = self.texts.get(one)
        if forms is None:
            return one if count == 1 else many
        return forms[self.form(count)]


def read_catalogue(path: Path) -> Catalogue:
    """Without contexts (`msgctxt`), which we have none of."""
    texts = {}
    for entry in _entries(path.read_text(encoding="utf-8")):
        forms = tuple(string for keyword, string in entry.items() if keyword.startswith("msgstr"))
        texts[entry["msgid"]] = forms
    header = _PLURAL.search(texts.pop("")[0])
    if header is None:
        raise ValueError(f"{path} does not say Plural-Forms")
    return Catalogue(texts, c2py(header[1]))


def _entries(content: str) -> list[dict[str, str]]:
    """The strings of each entry by keyword, in their order."""
    entries: list[dict[str, str]] = []
    keyword = ""
    for line in content.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        keyword = found[1] or keyword
        if keyword == "msgid" and found[1]:
            entries.append({})
        # What a string escapes, it escapes as JSON does.
        entries[-1][keyword] = entries[-1].get(keyword, "") + json.loads(found[2])
    return entries
