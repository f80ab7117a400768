"""PURE: when two posts' texts are equal to a reader, so that they can share tags."""

import re
import unicodedata
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from services.text import sendable

_URL = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_TRACKING = re.compile(
    r"(?:utm_|mc_|pk_|mtm_|ga_|_ga|_hs|hsa_|vero_|oly_).*|[a-z]{0,3}clid|igshid|ysclid|si|_openstat", re.I
)
#: Dots, commas, dashes, quotes, brackets; not signs that change a word (c#, 18+, @name, r&b).
_PUNCTUATION = re.compile(r"""[!"'(),.:;<=>?\[\]^`{|}~¡«·»¿\-\u2010-\u2027\u2030-\u205e\u3001-\u3003\u3008-\u3011]+""")


# Each turn of the worker asks for the keys of all texts under way.
@lru_cache(maxsize=512)
def text_key(text: str) -> int:
    """A hash (signed, 64 bits) of `same_words`: an index key for equal texts."""
    digest = blake2b(same_words(text).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def same_words(text: str) -> str:
    """The sendable part of a text without case, punctuation, extra spaces and links' tracking parameters."""
    untracked = _URL.sub(lambda link: _without_tracking(link[0]), sendable(text))
    plain = unicodedata.normalize("NFKC", untracked).casefold()
    return " ".join(_PUNCTUATION.sub(" ", plain).split())


def _without_tracking(link: str) -> str:
    try:
        parts = urlsplit(link)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return link
    kept = [(name, value) for name, value in query if not _TRACKING.fullmatch(name)]
    return link if len(kept) == len(query) else urlunsplit(parts._replace(query=urlencode(kept)))
