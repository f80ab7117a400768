"""PURE: a tag as a person wrote it, checked."""

import unicodedata

from services.tags.errors import TagError, TagProblem

#: As many characters as a hashtag may have.
LONGEST_NAME = 64


def written_tag(text: str) -> str:
    """The tag without #, extra spaces and what cannot be seen. Raises TagError."""
    plain = unicodedata.normalize("NFC", text)
    visible = "".join(" " if char.isspace() else char for char in plain if char.isspace() or _is_visible(char))
    name = " ".join(visible.split()).removeprefix("#").strip()
    if not any(map(str.isalnum, name)):
        raise TagError(TagProblem.EMPTY)
    if len(name) > LONGEST_NAME:
        raise TagError(TagProblem.TOO_LONG)
    return name


def _is_visible(char: str) -> bool:
    return not unicodedata.category(char).startswith("C")
