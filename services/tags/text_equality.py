"""PURE: when two texts are the same to a reader, so that the tags of one are the other's."""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from services.llm.prompts import sendable

_URL = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_TRACKING = re.compile(
    r"(?:utm_|mc_|pk_|mtm_|ga_|_ga|_hs|hsa_|vero_|oly_).*|[a-z]{0,3}clid|igshid|ysclid|si|_openstat", re.I
)
#: Dots, commas, dashes, quotes, brackets and the like; not the signs that make another word (c#, 18+, @name, r&b).
_PUNCTUATION = re.compile(r"""[!"'(),.:;<=>?\[\]^`{|}~¡«·»¿\-\u2010-\u2027\u2030-\u205e\u3001-\u3003\u3008-\u3011]+""")


def text_key(text: str) -> int:
    """A signed number of 64 bits that texts share which differ in case, punctuation, spaces or links' tracking only."""
    digest = blake2b(same_words(text).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def same_words(text: str) -> str:
    """What is left of a text (as far as a model gets to see it) without all that makes no difference."""
    sent = sendable(text)
    untracked = _URL.sub(lambda link: _without_tracking(link[0]), sent) if "://" in sent else sent
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
