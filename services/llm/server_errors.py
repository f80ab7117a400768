"""PURE: an error answer of a model server.

Servers put the message into `error.message`, `error` itself, the top level, `detail`, FastAPI's list of problems, or
a JSON text within one of these (OpenRouter's `metadata.raw`).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WORDS_LIMIT = 300
_DEPTH_LIMIT = 8
_TEXT_LIMIT = 4000
#: A post's text is recognised in an error by this many characters in a row.
_ECHO = 20
_SHORTEST_ECHO = 8

_MESSAGE_KEYS = ("message", "msg", "status_msg", "detail", "error", "errors", "raw", "error_description", "title")
_MARK_KEYS = ("type", "code", "param", "error_type", "reason", "status", "loc")
_NESTED_KEYS = ("metadata", "innererror", "details")
#: OpenRouter's headline over a provider's own message.
_HEADLINE = "provider returned error"
_SECRET = re.compile(
    r"\b(?:bearer\s+\S+|(?:sk|pk|gsk|xai|pplx|nvapi|fw|key|hf|aiza)[-_]?[\w*.-]{8,})|[^\s'\"]*\*{2,}[^\s'\",;]*|"
    r"(?<=key provided: )[^\s'\",;]+",
    re.IGNORECASE,
)
_URL_QUERY = re.compile(r"(https?://[^\s?#]+)[?#]\S*")


@dataclass(frozen=True, slots=True)
class ServerError:
    """`code` is an HTTP status: the error's own, or else the answer's."""

    code: int
    messages: tuple[str, ...] = ()
    #: Messages, types, codes and parameter names in lower case, to search in.
    text: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    availability: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def says(self, pattern: re.Pattern[str]) -> bool:
        return pattern.search(self.text) is not None

    @property
    def is_platform_limit(self) -> bool:
        """OpenRouter's own limits name free-models-per-… or carry X-RateLimit headers."""
        return "free-models-per" in self.text or "x-ratelimit-reset" in self.headers

    @property
    def is_daily(self) -> bool:
        return "per-day" in self.text or "perday" in self.text

    @property
    def own_messages(self) -> tuple[str, ...]:
        """The messages without a headline over them, each once."""
        specific = [message for message in self.messages if message.lower().strip(" .") != _HEADLINE]
        return tuple(dict.fromkeys(specific or self.messages))

    def words(self, texts: Sequence[str]) -> str:
        """The server's own words, cleaned."""
        return cleaned_words("; ".join(self.own_messages), texts)


def cleaned_words(words: str, texts: Sequence[str]) -> str:
    """A server's or model's words in one line: at most WORDS_LIMIT characters, without keys and the posts' `texts`."""
    line = "".join(char if char.isprintable() else " " for char in words[:_TEXT_LIMIT])
    told = _URL_QUERY.sub(r"\1", _SECRET.sub("[key]", _without_texts(" ".join(line.split()), texts)))
    return told if len(told) <= WORDS_LIMIT else told[: WORDS_LIMIT - 1].rstrip() + "…"


def find_error(body: Any, status: int, headers: Mapping[str, str]) -> ServerError | None:
    """The error in an answer's JSON; None if there is none."""
    lower = {name.lower(): value for name, value in headers.items()}
    if isinstance(body, list) and body and isinstance(body[0], dict) and "error" in body[0]:
        body = body[0]
    if not isinstance(body, dict):
        return None if 200 <= status < 300 else ServerError(status, headers=lower)
    raw = body.get("error") or _choice_error(body) or _base_error(body)
    # Some gateways send an error without a word beside each answer.
    if raw and not (body.get("choices") and isinstance(raw, dict) and not any(raw.values())):
        return _parsed(raw, body, status, lower)
    says_why = any(isinstance(body.get(name), str) for name in ("message", "detail"))
    is_answer = 200 <= status < 300 and (bool(body.get("choices")) or not says_why)
    return None if is_answer else _parsed(body, body, status, lower)


def _choice_error(body: dict[str, Any]) -> Any:
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    stopped = {"message": "the model stopped with an error"} if choice.get("finish_reason") == "error" else None
    return choice.get("error") or stopped


def _base_error(body: dict[str, Any]) -> Any:
    """MiniMax's error, in an answer with HTTP 200."""
    base = mapping(body.get("base_resp"))
    return base if base.get("status_code") and not body.get("choices") else None


def _parsed(raw: Any, body: dict[str, Any], status: int, headers: Mapping[str, str]) -> ServerError:
    shown = raw if isinstance(raw, dict) else {"message": raw}
    # Some servers put the message beside the error: {"error": true, "message": "…"}.
    found = list(_walk([shown, body] if not isinstance(raw, dict) and raw is not body else shown, ""))
    metadata = mapping(shown.get("metadata"))
    inner = {str(name).lower(): str(value) for name, value in mapping(metadata.get("headers")).items()}
    messages = tuple(text for is_message, text in found if is_message)
    return ServerError(
        code=_code(shown.get("code"), status),
        messages=messages,
        text="\n".join(text for _, text in found).lower()[:_TEXT_LIMIT],
        metadata=metadata,
        availability=mapping(shown.get("availability") or metadata.get("availability")),
        headers={**headers, **inner},
    )


def _walk(value: Any, key: str, depth: int = 0) -> Iterator[tuple[bool, str]]:
    """(whether it is a message for people, text) pairs, without what the server echoes (`input`)."""
    if depth > _DEPTH_LIMIT:
        return
    if isinstance(value, dict):
        yield from _walk_object(value, depth)
    elif key == "loc" and isinstance(value, list):
        yield False, "'" + ".".join(map(str, value[1:] or value)) + "' " + " ".join(f"'{part}'" for part in value)
    elif isinstance(value, list):
        for item in value[:20]:
            yield from _walk(item, key, depth + 1)
    elif isinstance(value, str) and value.strip():
        inner = _json_in(value) if key in _MESSAGE_KEYS else None
        if inner is not None:
            yield from _walk(inner, "", depth + 1)
        else:
            yield key not in _MARK_KEYS, f"'{value}'" if key == "param" else value
    elif isinstance(value, int) and not isinstance(value, bool) and key in _MARK_KEYS:
        yield False, str(value)


def _walk_object(value: dict[str, Any], depth: int) -> Iterator[tuple[bool, str]]:
    place, problem = value.get("loc"), value.get("msg")
    if isinstance(place, list) and isinstance(problem, str):
        value = {**value, "msg": f"{'.'.join(map(str, place))}: {problem}"}
    for name in (*_MESSAGE_KEYS, *_MARK_KEYS, *_NESTED_KEYS):
        if name in value:
            yield from _walk(value[name], name, depth + 1)


def _json_in(text: str) -> Any:
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def _code(code: Any, status: int) -> int:
    if isinstance(code, str) and len(code) == 3 and code.isascii() and code.isdecimal():
        code = int(code)
    if isinstance(code, int) and not isinstance(code, bool) and 100 <= code < 600:
        return code
    # An error in a 200 whose code is no status ("server_error"): the provider failed.
    return status if status >= 300 else 502


def _without_texts(words: str, texts: Sequence[str]) -> str:
    """The words, with "…" for every run of characters of a post's text."""
    echoed = bytearray(len(words))
    for text in (" ".join(text.split()) for text in texts):
        size = min(_ECHO, len(text))
        if size < _SHORTEST_ECHO:
            continue
        for at in range(len(words) - size + 1):
            if words[at : at + size] in text:
                echoed[at : at + size] = b"\1" * size
    kept = "".join("\0" if echoed[at] else char for at, char in enumerate(words))
    return re.sub("\0+", "…", kept)


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
