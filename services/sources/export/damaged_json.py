"""The bytes of a damaged export → JSON that can be parsed: mended, and without the messages that cannot be.

Telegram Desktop writes control characters as `\\xNN` and some values without quotes (tdesktop #27571, #24961, #25045).
It writes a value a line, so a string that is not closed ends with its line.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from services.sources.export.messages import DAMAGED

CHUNK = 2**18
#: A message's bytes; Telegram's own have some hundred kilobytes at most.
LONGEST_MESSAGE = 2**23
MOST_DEPTH = 100
PLACEHOLDER = json.dumps({"type": DAMAGED}).encode()
MESSAGES = b'"messages"'

#: A string, which ends with its line at the latest; a bracket; or other text up to one of these.
_TOKEN = re.compile(rb'"(?:[^"\\\n]|\\[^\n]|\\(?=\n|\Z))*(?:"|(?=\n)|\Z)|[{}\[\]:,]|[^\s"{}\[\]:,][^"{}\[\],\n]*|\s+')
_ESCAPE = re.compile(r'\\(?:x([0-9A-Fa-f]{2})|(["\\/bfnrt]|u[0-9A-Fa-f]{4}))?')
_CONTROL = re.compile(r"[\x00-\x1f]")
#: A line of a value with quotes that are not escaped in it.
_LINE = re.compile(r'^([ \t]*(?:"[^"\n]*"[ \t]*:[ \t]*)?")(.*)("[ \t]*,?[ \t\r]*)$', re.MULTILINE)
_BARE_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)"')
_LONG_NUMBER = 18


class MendedExport:
    """A file to read from, whose bytes are mended on the way. Holds no more than a message."""

    def __init__(self, file: BinaryIO) -> None:
        self._parts = _mended(file)
        self._rest = bytearray()

    def read(self, size: int = CHUNK) -> bytes:
        while len(self._rest) < size and (part := next(self._parts, None)) is not None:
            self._rest += part
        taken = bytes(self._rest[:size])
        del self._rest[:size]
        return taken


def _mended(file: BinaryIO) -> Iterator[bytes]:
    framer = _Framer()
    for token in _tokens(file):
        yield from framer.take(token)


def _tokens(file: BinaryIO) -> Iterator[bytes]:
    """The file's tokens; one that may go on in the next bytes is held back."""
    rest = b""
    while chunk := file.read(CHUNK):
        data, end = rest + chunk, 0
        if len(data) > LONGEST_MESSAGE:
            return
        for match in _TOKEN.finditer(data):
            if match.end() == len(data):
                break
            end = match.end()
            yield match[0]
        rest = data[end:]
    # A string that breaks off with the file is left out, and so is a message.
    yield from (token for token in _TOKEN.findall(rest) if not token.startswith(b'"') or token.endswith(b'"'))


class _Framer:
    """Cuts the messages out of the tokens. What stands around them is passed on, token by token."""

    def __init__(self) -> None:
        self._open: list[bytes] = []
        self._message: list[bytes] | None = None
        self._size = self._depth = self._deepest = 0
        #: The white space before the message: on a line of its own no other part of a message has it.
        self._indent = self._space = b""
        self._is_list_next = False

    def take(self, token: bytes) -> Iterator[bytes]:
        if self._message is not None:
            yield from self._inside(token)
        elif token == b"{" and self._open and self._open[-1] == MESSAGES:
            self._begin(token)
        else:
            yield from self._around(token)
        self._space = token if token.isspace() else b""

    def _begin(self, token: bytes) -> None:
        self._message, self._size, self._depth, self._deepest = [token], 1, 1, 1
        self._indent = self._space if b"\n" in self._space else b""

    def _inside(self, token: bytes) -> Iterator[bytes]:
        assert self._message is not None  # noqa: S101 - for the type checker
        if token == b"{" and self._indent and self._space == self._indent:
            # The message before this one was never closed.
            yield PLACEHOLDER + b","
            self._begin(token)
            return
        self._message.append(token)
        self._size += len(token)
        if token in (b"{", b"["):
            self._depth += 1
            self._deepest = max(self._deepest, self._depth)
        elif token in (b"}", b"]"):
            self._depth -= 1
        if self._size > LONGEST_MESSAGE:
            self._message = [b"?"]
            self._size = 0
        if self._depth == 0:
            yield self._whole_message()

    def _whole_message(self) -> bytes:
        message, self._message = b"".join(self._message or ()), None
        return PLACEHOLDER if self._deepest > MOST_DEPTH else mended_message(message)

    def _around(self, token: bytes) -> Iterator[bytes]:
        if token in (b"{", b"["):
            if len(self._open) >= MOST_DEPTH:
                raise NestedTooDeeplyError
            self._open.append(MESSAGES if token == b"[" and self._is_list_next else token)
        elif token in (b"}", b"]") and self._open:
            self._open.pop()
        if not token.isspace() and token != b":":
            self._is_list_next = token == MESSAGES
        yield _mended_token(token)


class NestedTooDeeplyError(Exception):
    """The JSON around the messages is none that Telegram Desktop writes."""


def mended_message(message: bytes) -> bytes:
    """PURE: the message as JSON, or a placeholder of type DAMAGED."""
    for attempt in _attempts(message.decode("utf-8", "replace")):
        try:
            found = json.loads(attempt, parse_int=_int, parse_float=_float, parse_constant=str)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return json.dumps(found).encode()
    return PLACEHOLDER


def _attempts(text: str) -> Iterator[str]:
    yield text
    yield _with_tokens(text)
    yield _with_tokens(_LINE.sub(_with_quotes, text))


def _with_tokens(text: str) -> str:
    return b"".join(map(_mended_token, _TOKEN.findall(text.encode()))).decode()


def _mended_token(token: bytes) -> bytes:
    if token.startswith(b'"'):
        inner = token[1:-1] if len(token) > 1 and token.endswith(b'"') else token[1:]
        text = _ESCAPE.sub(_escaped, inner.decode("utf-8", "replace"))
        return b'"%b"' % _CONTROL.sub(_as_escape, text).encode()
    if token.isspace() or token in (b"{", b"}", b"[", b"]", b":", b","):
        return token
    return _value(token.decode("utf-8", "replace").rstrip()).encode()


def _escaped(found: re.Match[str]) -> str:
    code, known = found.groups()
    if code is not None:
        return f"\\u00{code}"
    return found[0] if known is not None else "\\\\"


def _as_escape(char: re.Match[str]) -> str:
    return f"\\u{ord(char[0]):04x}"


def _value(bare: str) -> str:
    """A number or literal as it is; anything else is a string whose quotes are missing."""
    try:
        json.loads(bare, parse_int=_short, parse_float=_float, parse_constant=_refused)
    except ValueError:
        return json.dumps(bare)
    return bare


def _with_quotes(line: re.Match[str]) -> str:
    begin, inner, end = line.groups()
    return begin + _BARE_QUOTE.sub(r'\1\\"', inner) + end


def _int(written: str) -> Any:
    return int(written) if len(written) <= _LONG_NUMBER else written


def _short(written: str) -> int:
    if len(written) > _LONG_NUMBER:
        raise ValueError(written)
    return int(written)


def _float(written: str) -> Any:
    found = float(written)
    return found if math.isfinite(found) else written


def _refused(written: str) -> Any:
    raise ValueError(written)
