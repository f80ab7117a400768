"""PURE: tags → hashtags, the text of a post with them, and without them again.

Lengths and offsets are Telegram's: UTF-16 units.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.text import units

#: Of one hashtag, with its sign: Telegram knows longer ones, nobody reads them.
LONGEST = 64
#: Of a message's text, and of the caption of a photo or the like.
TEXT_UNITS, CAPTION_UNITS = 4096, 1024
GAP = "\n\n"
#: What Telegram cuts off at the end of a message.
_TRIMMED = " \t\r\n"
#: Belong to a word, though they are no letters: Persian and Catalan are written with them.
_JOINERS = "\u200c\u00b7"
_APOSTROPHES = re.compile("(?<=\\w)['\u2019\u02bc](?=\\w)")
_SPOKEN = ((re.compile(r"(?<=\w)\++"), lambda found: "plus" * len(found[0])), (re.compile(r"(?<=\w)#"), "sharp"))

Entity = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Original:
    """A channel's message as Telegram gave it, to be edited and to be put back.

    Attributes:
        entities: formatting and links, as the Bot API's JSON.
        options: what an edit has to repeat, or it is lost: preview of links, buttons, place of the caption.
        obstacle: why the bot must not edit it (in English, for the log); None: it may.
    """

    text: str
    entities: Sequence[Entity] = ()
    is_caption: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    obstacle: str | None = None

    @property
    def limit(self) -> int:
        """How long the text may become."""
        return CAPTION_UNITS if self.is_caption else TEXT_UNITS


def hashtag(tag: str) -> str | None:
    """#искусственный_интеллект; None when nothing is left that Telegram would take for a hashtag."""
    spelled = _APOSTROPHES.sub("", unicodedata.normalize("NFC", tag).lstrip("# \t"))
    for pattern, word in _SPOKEN:
        spelled = pattern.sub(word, spelled)
    words = "".join(char if _belongs(char) else " " for char in spelled).split()
    name = _shortened("_".join(filter(None, (word.strip(_JOINERS) for word in words))))
    return f"#{name}" if any(char.isalpha() for char in name) else None


def hashtags(tags: Iterable[str]) -> list[str]:
    """The hashtags of a post's tags in their order, each once whatever its case."""
    found: dict[str, str] = {}
    for name in filter(None, map(hashtag, tags)):
        found.setdefault(name.casefold(), name)
    return list(found.values())


def line_for(original: Original, tags: Iterable[str]) -> str | None:
    """The line of hashtags for a message: those that are not in it, as many as there is room for; None: none."""
    there = {name.casefold() for name in _present(original)}
    room = original.limit - units(original.text + GAP)
    line = ""
    for name in hashtags(tags):
        longer = f"{line} {name}" if line else name
        if name.casefold() not in there and units(longer) <= room:
            line = longer
    return line or None


def appended(text: str, line: str | None) -> str:
    """A text with the line below it; what stands before keeps its offsets."""
    return text if line is None else f"{text}{GAP}{line}"


def without_line(text: str, lines: Iterable[str | None]) -> str | None:
    """What the text was before one of the lines was appended; None when it ends with none of them."""
    # The longest first: another may be the end of it.
    for line in sorted(filter(None, lines), key=len, reverse=True):
        if text == line:
            return ""
        if text.endswith(line) and text[: -len(line)].endswith((" ", "\n")):
            # Not just the gap: whoever edited the post may have moved our line.
            return text[: -len(line)].rstrip(_TRIMMED)
    return None


def clipped(entities: Iterable[Entity], text: str) -> list[Entity]:
    """What of the entities lies within the text."""
    end = units(text)
    return [
        {**entity, "length": min(entity["length"], end - entity["offset"])}
        for entity in entities
        if entity["offset"] < end
    ]


def _belongs(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] in "LM" or category == "Nd" or char == "_" or char in _JOINERS


def _shortened(name: str) -> str:
    """Whole words where there are several."""
    name = name.strip("_")
    if units(name) < LONGEST:
        return name
    cut = name.encode("utf-16-le")[: (LONGEST - 1) * 2].decode("utf-16-le", "ignore")
    return (cut.rpartition("_")[0] or cut).strip("_" + _JOINERS)


def _present(original: Original) -> list[str]:
    """The hashtags that Telegram found in it; `#tag@channel` is `#tag` of that channel."""
    raw = original.text.encode("utf-16-le", "surrogatepass")
    marks = [entity for entity in original.entities if entity.get("type") == "hashtag"]
    spans = [raw[mark["offset"] * 2 : (mark["offset"] + mark["length"]) * 2] for mark in marks]
    return [unicodedata.normalize("NFC", span.decode("utf-16-le", "ignore").partition("@")[0]) for span in spans]
