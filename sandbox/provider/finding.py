"""Finds the posts in a request: each text with its number."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sandbox.provider.tags import CUT

Json = dict[str, Any]
PREFIX = 12
_FRAME = re.compile(r"^[^\w\n]*(?:[^\W\d_]+[^\w\n]*)?(\d+)[^\w\n]*$", re.MULTILINE)

_BLOCK = re.compile(r"^BEGIN (\w+)\n(.*?)\nEND \1$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Asked:
    """A post that a request asks about."""

    number: int
    text: str


@dataclass(frozen=True)
class Question:
    """A request's posts, and whether its answer is about one post or several."""

    posts: list[Asked]
    single: bool


class KnownTexts:
    """Texts that are known beforehand and found verbatim in a message."""

    def __init__(self) -> None:
        self._by_prefix: defaultdict[str, set[str]] = defaultdict(set)

    def learn(self, text: str) -> None:
        """Add a post's text."""
        cut = text.strip()[:CUT].rstrip()
        if cut:
            self._by_prefix[cut[:PREFIX]].add(cut)

    def find(self, message: str) -> list[Asked]:
        """The known texts in a message, each with the last number before it."""
        found: list[Asked] = []
        at = end = 0
        lengths = {len(prefix) for prefix in self._by_prefix}
        while at < len(message):
            text = self._at(message, at, lengths)
            if text is None:
                at += 1
                continue
            digits = re.findall(r"\d+", message[end:at])
            found.append(Asked(int(digits[-1]) if digits else len(found) + 1, text))
            at = end = at + len(text)
        return found

    def _at(self, message: str, at: int, lengths: set[int]) -> str | None:
        # A short text may occur inside a word of another text.
        if at and message[at - 1].isalnum():
            return None
        candidates = [t for n in lengths for t in self._by_prefix.get(message[at : at + n], ())]
        fitting = [t for t in candidates if message.startswith(t, at)]
        return max(fitting, key=len, default=None)


def read_question(body: Json, known: KnownTexts) -> Question:
    """The posts of a request."""
    message = user_message(body)
    wanted = _properties(body)
    found = known.find(message) or _blocks(message)
    single = "tags" in wanted if wanted & {"tags", "posts"} else len(found or _framed(message)) <= 1
    if single:
        return Question(found[:1] or [Asked(1, _unframed(message))], True)
    return Question(found or _framed(message) or [Asked(1, message)], False)


def user_message(body: Json) -> str:
    """The text of the user messages."""
    parts: list[str] = []
    for message in body.get("messages") or []:
        if message.get("role") == "user":
            content = message.get("content")
            pieces = content if isinstance(content, list) else [{"text": content}]
            parts += [str(piece.get("text") or "") for piece in pieces]
    return "\n".join(parts)


def _properties(body: Json) -> set[str]:
    schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema") or {}
    return set(schema.get("properties") or {})


def _blocks(message: str) -> list[Asked]:
    """Posts between BEGIN and END lines with the same frame word."""
    found = [(block[2], re.findall(r"\d+", message[: block.start()])) for block in _BLOCK.finditer(message)]
    return [Asked(int(digits[-1]) if digits else 1, text) for text, digits in found]


def _framed(message: str) -> list[Asked]:
    """Posts between lines that contain little more than a number."""
    frames = list(_FRAME.finditer(message))
    ends = [*(frame.start() for frame in frames[1:]), len(message)][: len(frames)]
    pairs = zip(frames, ends, strict=True)
    return [Asked(int(frame[1]), message[frame.end() : end].strip()) for frame, end in pairs]


def _unframed(message: str) -> str:
    first, _, rest = message.strip().partition("\n")
    is_frame = first.rstrip().endswith(":") or _FRAME.fullmatch(first)
    return rest.strip() if is_frame and rest.strip() else message.strip()
