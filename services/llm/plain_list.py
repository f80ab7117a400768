"""PURE: the tags of an answer without JSON: bullets, or one line of short parts."""

import re

from services.llm.json_extraction import READ_LIMIT

_LINE_LIMIT = 16 * 1024
_BULLET = re.compile(r"^\s{0,20}(?:[-*•–—·]|\d{1,2}[.)])\s{1,20}(\S.{0,200})$")
_LABEL = re.compile(r"^\W{0,5}(?:tags|keywords|теги|тэги|метки|ключевые слова)\W{0,3}:\W{0,3}(?=\w|#|$)", re.IGNORECASE)
_PART = re.compile(r"[,;]|\s(?=#)")
# What people and models say to somebody, not about something.
_TALK = re.compile(
    r"^(?:sure|ok|okay|yes|no|well|hi|hello|done|certainly|of course|however|thanks|thank you"
    r"|конечно|хорошо|ладно|да|нет|привет|здравствуйте|готово|спасибо|пожалуйста|извините|вот)$"
    r"|\b(?:i|i'm|i’m|we|you|your|here|я|мы|вы|вам|вас|ваш|тебе)\b",
    re.IGNORECASE,
)
_PLAIN_WORDS = 4


def plain_list(text: str, *, cut: bool) -> list[str]:
    """The items of the list; empty if the answer is none. `cut`: its last item may be half a word."""
    lines = [line for line in text[:READ_LIMIT].splitlines() if line.strip() and not line.startswith("```")]
    bullets = [match[1] for match in map(_BULLET.match, lines) if match]
    if len(bullets) > 1:
        return _short_parts(_whole(bullets, cut), least=1)
    for line in reversed(lines):
        parts = _line_parts(line)
        if parts:
            return _short_parts(_whole(parts, cut and line is lines[-1]), least=1)
    return []


def _whole(items: list[str], cut: bool) -> list[str]:
    return items[:-1] if cut else items


def _line_parts(line: str) -> list[str]:
    if len(line) > _LINE_LIMIT or line.rstrip().endswith((":", "?", "!")):
        return []
    bare = _LABEL.sub("", line)
    return _short_parts([part for part in _PART.split(bare) if part.strip()], least=2)


def _short_parts(parts: list[str], *, least: int) -> list[str]:
    tags_by_looks = all(len(part.split()) <= _PLAIN_WORDS and not _TALK.search(part.strip()) for part in parts)
    return parts if tags_by_looks and len(parts) >= least else []
