"""PURE: public channel names in a text: @name, name, and the forms of a t.me link."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qs, urlsplit

MOST_NAMES = 50

_SEPARATORS = re.compile(r"[\s,;]+")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{3,31}")
_AROUND = "()[]{}<>«»“”„\"'`.:!?"
_HOSTS = ("t.me", "telegram.me", "telegram.dog")
_OWN_HOST = re.compile(r"([a-z][a-z0-9_]{3,31})\.t\.me")
#: First parts of a link's path that only members can follow …
_PRIVATE = {"c", "joinchat", "+"}
#: … and those that lead to no chat.
_NO_CHANNEL = {
    *("share", "addstickers", "addemoji", "addtheme", "addlist", "proxy", "socks", "iv", "msg", "login", "bg", "boost"),
    *("setlanguage", "confirmphone", "invoice", "contact", "giftcode", "passport", "nft", "stars_topup", "call"),
}


class Reason(StrEnum):
    #: An invite link, or a link into a channel that has no public name.
    PRIVATE = "private"
    NO_CHANNEL = "no_channel"
    NO_NAME = "no_name"
    TOO_MANY = "too_many"


class Unusable(NamedTuple):
    word: str
    reason: Reason


class Names(NamedTuple):
    names: list[str]
    unusable: list[Unusable]


def channel_names(text: str) -> Names:
    found: dict[str, str] = {}
    unusable: dict[str, Unusable] = {}
    for word in _words(text):
        read = _read(word)
        if isinstance(read, str) and read.lower() not in found and len(found) == MOST_NAMES:
            read = Reason.TOO_MANY
        if isinstance(read, Reason):
            unusable.setdefault(word, Unusable(word, read))
        else:
            found.setdefault(read.lower(), read)
    return Names(list(found.values()), list(unusable.values()))


def only_name(text: str) -> str | None:
    """The channel of a text that is only a link or @name; else None."""
    if not text.startswith("@") and "/" not in text and ".t.me" not in text.lower():
        return None
    names, unusable = channel_names(text)
    return names[0] if len(names) == 1 and not unusable else None


def is_name(text: str | None) -> bool:
    return text is not None and _NAME.fullmatch(text) is not None


def _words(text: str) -> Iterator[str]:
    stripped = (word.strip(_AROUND) for word in _SEPARATORS.split(text))
    return (word for word in stripped if word)


def _read(word: str) -> str | Reason:
    if "/" in word or "." in word or ":" in word:
        return _of_link(word)
    return _checked(word.removeprefix("@"))


def _of_link(word: str) -> str | Reason:
    try:
        link = urlsplit(word if "://" in word else f"https://{word.removeprefix('@')}")
    except ValueError:
        return Reason.NO_NAME
    if link.scheme == "tg":
        return _of_app_link(link)
    host = (link.hostname or "").removeprefix("www.")
    if own := _OWN_HOST.fullmatch(host):
        return _checked(own[1])
    return _of_path(link.path) if host in _HOSTS else Reason.NO_NAME


def _of_app_link(link: SplitResult) -> str | Reason:
    """`tg://resolve?domain=name` names a channel; other tg:// links do not."""
    if link.netloc.lower() in {"join", "privatepost"}:
        return Reason.PRIVATE
    names = parse_qs(link.query).get("domain", [])
    return _checked(names[0]) if link.netloc.lower() == "resolve" and names else Reason.NO_CHANNEL


def _of_path(path: str) -> str | Reason:
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["s"]:
        parts = parts[1:]
    if not parts:
        return Reason.NO_CHANNEL
    first = parts[0]
    if first.lower() in _PRIVATE or first.startswith("+"):
        return Reason.PRIVATE
    return _checked(first) if is_name(first) else Reason.NO_CHANNEL


def _checked(name: str) -> str | Reason:
    if not is_name(name):
        return Reason.PRIVATE if name.startswith("+") else Reason.NO_NAME
    return Reason.NO_CHANNEL if name.lower() in _NO_CHANNEL else name
