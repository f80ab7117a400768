import re
import unicodedata

PROMPT_TEXT_LIMIT = 2000

#: NUL is refused by providers' databases; a lone surrogate cannot be encoded as UTF-8.
_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")
#: Invisible characters that Unicode files under marks, letters and symbols. People post them as empty messages.
_BLANKS = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0\ufe0e\ufe0f")


def has_text(text: str | None) -> bool:
    """Whether the text has a visible character; otherwise there is nothing to tag."""
    return any(map(_is_visible, sendable(text or "")))


def sendable(text: str) -> str:
    """The part of a post's text that is sent to a model."""
    return _UNSENDABLE.sub("", text)[:PROMPT_TEXT_LIMIT]


def storable(text: str) -> str:
    """Text without what PostgreSQL refuses: NUL and lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "ignore").decode("utf-8")


def units(text: str) -> int:
    """Length in UTF-16 units, as Telegram counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def is_blank(char: str) -> bool:
    """Invisible, although Unicode calls it a mark, a letter or a symbol."""
    return char in _BLANKS


def _is_visible(char: str) -> bool:
    # Category Cn counts as visible: it may be an emoji newer than this Python's Unicode.
    return not is_blank(char) and unicodedata.category(char) not in {"Cc", "Cf", "Zs", "Zl", "Zp"}
