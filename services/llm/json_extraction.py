"""PURE: the JSON values in a model's answer, repaired where they are broken. `answer_shapes` says what they mean."""

import json
import re
from collections.abc import Iterator
from typing import Final

import json_repair

# An answer is a few KiB. Of a longer one only the beginning is read, so that none costs much.
READ_LIMIT = 128 * 1024
_REPAIR_LIMIT = 16 * 1024
_BLOCK_LIMIT = 20
_DEPTH_LIMIT = 30

_THINK_TAG = re.compile(r"<(/?)(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_OPENER = re.compile(r"[{\[]")
# Inside JSON: a string in any quotes, a bracket, or a comma. Lengths are bounded to keep the search linear.
_TOKEN = re.compile(
    r'"(?:[^"\\\n]|\\.){0,200}"'
    r"|[“„][^“”\n]{0,200}[”“]"
    r"|«[^«»\n]{0,200}»"
    r"|(?<=[\[{,:\s])'[^'\n]{0,200}'(?=\s{0,20}(?:[,\]}:]|\Z))"
    r"|[{}\[\],]"
)
_ODD_QUOTES = re.compile(r"""([\[{,:]\s{0,20})(?:“|”|„|«|‘|')([^\n"“”„«»\\]{0,200}?)(?:”|“|»|’|')(?=\s{0,20}[,\]}:])""")
_TRAILING_COMMA = re.compile(r",(\s*[\]}])")
_INNERMOST_OBJECT = re.compile(r"\{[^{}]*\}")
_NUMBER_KEY = re.compile(r"""["'“”«»„]?\b(?:id|number|post|post_id)\b["'“”«»]?\s{0,20}:""", re.IGNORECASE)
_DIGITS_KEY = re.compile(r"""[{,\s]["'“„«]?(\d{1,4})["'”“»]?\s{0,20}:""")
_DIGITS = re.compile(r"\d{1,4}")
_NOT_IN_A_TAG = re.compile(r'[{}\[\]"]')


class _Doubled:
    """The value of a key that an object gives more than once."""


DOUBLED: Final = _Doubled()


def without_thinking(content: str) -> str:
    """The answer without the model's reasoning.

    A closing tag without an opening one ends reasoning that began before the answer; after an opening tag that is never
    closed nothing is left.
    """
    kept: list[str] = []
    position, thinking = 0, False
    for tag in _THINK_TAG.finditer(content):
        closing = bool(tag[1])
        if closing and not thinking:
            kept.clear()
        elif not closing and not thinking:
            kept.append(content[position : tag.start()])
        thinking, position = not closing, tag.end()
    if not thinking:
        kept.append(content[position:])
    return _unwrapped("\n".join(kept).strip())


def json_values(text: str, *, numbered: bool) -> list[object]:
    """Every JSON object or array of the text that can be read or repaired, in order.

    With `numbered`, broken JSON is read post by post, so that no post gets another's tags. A doubled key has the value
    DOUBLED.
    """
    whole = _strict(text) if text[:1] in ("{", "[") else None
    if whole is not None:
        return [whole]
    read = _read_numbered if numbered else _read_single
    values = [read(block) for block in _blocks(text[:READ_LIMIT])]
    return [value for value in values if value is not None]


def _unwrapped(text: str) -> str:
    """Some models answer with JSON in a JSON string."""
    if not (text.startswith('"') and text.endswith('"')):
        return text
    value = _strict(text)
    return value.strip() if isinstance(value, str) else text


def _blocks(text: str) -> list[str]:
    """The outermost bracketed parts of the text, the last _BLOCK_LIMIT of them.

    A part that is never closed is closed after its last whole item. The whole parts within it come before it, since
    its bracket may be a stray one in prose.
    """
    found: list[str] = []
    position = 0
    while opener := _OPENER.search(text, position):
        end, inner, closed = _block_end(text, opener.start())
        found += [text[slice(*span)] for span in inner[-_BLOCK_LIMIT:]] if not closed else []
        block = text[opener.start() : end] if closed else _closed(text[opener.start() :])
        found.append(block)
        position = end
    return found[-_BLOCK_LIMIT:]


def _block_end(text: str, start: int) -> tuple[int, list[tuple[int, int]], bool]:
    stack: list[int] = []
    inner: list[tuple[int, int]] = []
    for token in _TOKEN.finditer(text, start):
        if token[0] in ("{", "["):
            stack.append(token.start())
        elif token[0] in ("}", "]"):
            begun = stack.pop()
            if not stack:
                return token.end(), inner, True
            if len(stack) == 1:
                inner.append((begun, token.end()))
    return len(text), inner, False


def _closed(block: str) -> str:
    """A block that stops in the middle: its whole items, and the closing brackets."""
    stack: list[str] = []
    end = 0
    for token in _TOKEN.finditer(block):
        end = token.end()
        if token[0] in ("{", "["):
            stack.append("}" if token[0] == "{" else "]")
        elif token[0] in ("}", "]") and stack:
            stack.pop()
    return block[:end].rstrip(", \n") + "".join(reversed(stack))


def _read_single(block: str) -> object:
    value = _strict(block)
    return _mended(block) if value is None else value


def _read_numbered(block: str) -> object:
    value = _strict(block)
    if value is None:
        value = _strict(_tidied(block))
    if value is not None:
        return value
    posts = [post for post in _posts_apart(block) if post is not None]
    return posts or _digits_object(block)


def _posts_apart(block: str) -> Iterator[object]:
    """Each innermost object by itself, if it has one number only: json-repair would merge neighbours."""
    for match in _INNERMOST_OBJECT.finditer(block):
        if len(_NUMBER_KEY.findall(match[0])) == 1:
            yield _read_single(match[0])


def _digits_object(block: str) -> object:
    """`{"1": […], "2": […]}`, if the repair has neither lost, merged nor made a key."""
    value = _mended(block)
    if not isinstance(value, dict):
        return None
    keys = [digits for key in value for digits in _DIGITS.findall(str(key))]
    return value if sorted(keys) == sorted(_DIGITS_KEY.findall(block)) else None


def _strict(text: str) -> object:
    try:
        value: object = json.loads(text, strict=False, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return None
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in pairs:
        result[key] = DOUBLED if key in result else value
    return result


def _tidied(block: str) -> str:
    return _TRAILING_COMMA.sub(r"\1", _ODD_QUOTES.sub(r'\1"\2"', block))


def _mended(block: str) -> object:
    """The value of broken JSON, else None. json-repair takes prose for JSON, so its work is checked."""
    block = block if len(block) <= _REPAIR_LIMIT else _closed(block[:_REPAIR_LIMIT])
    tidied = _tidied(block)
    value = _strict(tidied)
    if value is not None or _too_deep(tidied):
        return value
    try:
        value = json_repair.loads(tidied, skip_json_loads=True)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return _checked(value, quoted='"' in tidied)


def _too_deep(block: str) -> bool:
    depth = deepest = 0
    for token in re.finditer(r"[{}\[\]]", block):
        depth += 1 if token[0] in "{[" else -1
        deepest = max(deepest, depth)
    return deepest > _DEPTH_LIMIT


def _checked(value: object, *, quoted: bool) -> object:
    """Without strings that swallowed JSON; `[note]` in prose is no array."""
    if isinstance(value, list):
        items = [_checked(item, quoted=True) for item in value if not _swallowed(item)]
        return items if quoted or len(items) > 1 else None
    if isinstance(value, dict):
        return {key: _checked(item, quoted=True) for key, item in value.items() if not _swallowed(item)}
    return value


def _swallowed(item: object) -> bool:
    return isinstance(item, str) and _NOT_IN_A_TAG.search(item) is not None
