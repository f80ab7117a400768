"""PURE: tags → hashtags, appended to a post's text and removed again.

Lengths and offsets count UTF-16 units, as Telegram does.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.text import units

#: Length of a hashtag with its sign; Telegram allows more.
MAX_HASHTAG = 64
#: Telegram's limits for a message's text and for a caption.
TEXT_UNITS, CAPTION_UNITS = 4096, 1024
GAP = "\n\n"
#: Telegram strips these from the end of a message.
_TRIMMED = " \t\r\n"
#: Allowed inside a word though they are no letters: Persian and Catalan use them.
_JOINERS = "\u200c\u00b7"
_APOSTROPHES = re.compile("(?<=\\w)['\u2019\u02bc](?=\\w)")
_SPOKEN = ((re.compile(r"(?<=\w)\++"), lambda found: "plus" * len(found[0])), (re.compile(r"(?<=\w)#"), "sharp"))

Entity = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EditableMessage:
    """A channel's message without our hashtags, with all that an edit must repeat.

    Attributes:
        entities: formatting and links, as the Bot API's JSON.
        options: link preview, buttons, place of the caption: an edit that omits them removes them.
        obstacle: why the bot must not edit the message (for the log); None if it may.
    """

    text: str
    entities: Sequence[Entity] = ()
    is_caption: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    obstacle: str | None = None

    @property
    def limit(self) -> int:
        return CAPTION_UNITS if self.is_caption else TEXT_UNITS


def hashtag(tag: str, *, camel: bool = False) -> str | None:
    """#искусственный_интеллект, or #ИскусственныйИнтеллект; None if Telegram would not recognise a hashtag."""
    spelled = _APOSTROPHES.sub("", unicodedata.normalize("NFC", tag).lstrip("# \t"))
    for pattern, word in _SPOKEN:
        spelled = pattern.sub(word, spelled)
    words = "".join(char if _belongs(char) else " " for char in spelled).split()
    parts = [part for word in words if (part := word.strip(_JOINERS))]
    if camel:
        parts = [part[:1].upper() + part[1:] for word in parts for part in word.split("_")]
    name = _shortened(("" if camel else "_").join(parts))
    return f"#{name}" if any(char.isalpha() for char in name) else None


def hashtags(tags: Iterable[str], *, camel: bool = False) -> list[str]:
    found: dict[str, str] = {}
    for name in filter(None, (hashtag(tag, camel=camel) for tag in tags)):
        found.setdefault(name.casefold(), name)
    return list(found.values())


def line_for(original: EditableMessage, tags: Iterable[str], *, camel: bool = False) -> str | None:
    """The line of hashtags to append: those that the text lacks, as many as fit; None if none."""
    there = {name.casefold() for name in _present(original)}
    room = original.limit - units(original.text + GAP)
    line = ""
    for name in hashtags(tags, camel=camel):
        longer = f"{line} {name}" if line else name
        if name.casefold() not in there and units(longer) <= room:
            line = longer
    return line or None


def appended(text: str, line: str | None) -> str:
    """The text with the line below it; the offsets of its entities stay valid."""
    return text if line is None else f"{text}{GAP}{line}"


def without_line(text: str, lines: Iterable[str | None]) -> str | None:
    """The text before one of these lines was appended; None if it ends with none of them."""
    # The longest first: a shorter line may be the end of a longer one.
    for line in sorted(filter(None, lines), key=len, reverse=True):
        if text == line:
            return ""
        if text.endswith(line) and text[: -len(line)].endswith((" ", "\n")):
            # Any white space counts as the gap: an editor may have moved our line.
            return text[: -len(line)].rstrip(_TRIMMED)
    return None


def clipped(entities: Iterable[Entity], text: str) -> list[Entity]:
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
    """At most MAX_HASHTAG units, cut between words if possible."""
    name = name.strip("_")
    if units(name) < MAX_HASHTAG:
        return name
    cut = name.encode("utf-16-le")[: (MAX_HASHTAG - 1) * 2].decode("utf-16-le", "ignore")
    return (cut.rpartition("_")[0] or cut).strip("_" + _JOINERS)


def _present(original: EditableMessage) -> list[str]:
    """The hashtags that Telegram found in the text; of `#tag@channel` the part `#tag`."""
    raw = original.text.encode("utf-16-le", "surrogatepass")
    marks = [entity for entity in original.entities if entity.get("type") == "hashtag"]
    spans = [raw[mark["offset"] * 2 : (mark["offset"] + mark["length"]) * 2] for mark in marks]
    return [unicodedata.normalize("NFC", span.decode("utf-16-le", "ignore").partition("@")[0]) for span in spans]
