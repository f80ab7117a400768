"""PURE: a person's rules for the tags of their posts: checked, and a channel's over those of all channels."""

import re
from collections.abc import Hashable
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cache

from babel import Locale

from services.tags.normalisation import MAX_TAGS
from services.text import sendable

#: The post's own language.
AS_POST = "post"
MOST_TAGS = 10
LONGEST_INSTRUCTION = 500
#: Names of the vocabulary that a request offers at most if no other tag is taken.
LONGEST_LIST = 100

_CODE = re.compile(r"[a-z]{2}")


class Mode(StrEnum):
    FREE = "free"
    #: New tags only where none of the vocabulary fits.
    PREFER = "prefer"
    #: No tag that is not in the vocabulary.
    ONLY = "only"


class HashtagStyle(StrEnum):
    SNAKE = "snake"
    CAMEL = "camel"


class RuleProblem(StrEnum):
    MODE = "the mode is free, prefer or only"
    LANGUAGE = "the language is post, or a code of two letters such as ru or en"
    NUMBER = "the number of tags is from 1 to 10"
    INSTRUCTION = "an instruction has at most 500 characters"
    STYLE = "the style of hashtags is snake or camel"
    NO_CHANNEL = "there is no such channel among the user's"
    NO_USER = "there are no posts or channels yet"
    NO_TAGS = "there are no tags yet of which only these could be given"


class RuleError(Exception):
    """`problem` says in plain words what is wrong; the chat translates it."""

    def __init__(self, problem: RuleProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """What a person has set for all their channels, or for one. None: not set."""

    mode: str | None = None
    language: str | None = None
    most_tags: int | None = None
    instruction: str | None = None
    hashtag_style: str | None = None
    is_on: bool | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules in force for a post."""

    mode: Mode = Mode.FREE
    language: str = AS_POST
    #: None: as the prompt says, MAX_TAGS at most.
    most_tags: int | None = None
    instruction: str = ""
    hashtag_style: HashtagStyle = HashtagStyle.SNAKE
    is_on: bool = True

    @property
    def most(self) -> int:
        return self.most_tags or MAX_TAGS

    @property
    def is_closed(self) -> bool:
        return self.mode is Mode.ONLY

    def request_kind(self, user_id: int) -> Hashable:
        """Only posts of one kind share a request, or each other's tags."""
        # The answer's form lists one person's tags.
        return self.mode, self.language, self.most_tags, self.instruction, user_id if self.is_closed else None


NO_RULES = Rules()


def effective(*settings: RuleSettings | None) -> Rules:
    """The rules after these settings: later ones over earlier ones. A value that cannot be read is none."""
    values: dict[str, object] = {}
    for each in settings:
        values |= {name: value for name, value in _values(each).items() if _is_valid(name, value)}
    mode, style = Mode(str(values.pop("mode", "free"))), HashtagStyle(str(values.pop("hashtag_style", "snake")))
    return Rules(mode=mode, hashtag_style=style, **values)  # type: ignore[arg-type]


def checked(settings: RuleSettings) -> RuleSettings:
    """The settings as they are stored. Raises RuleError."""
    values = _values(settings)
    if "instruction" in values:
        values["instruction"] = written_instruction(str(values["instruction"]))
    if "language" in values:
        values["language"] = str(values["language"]).strip().lower()
    for name, value in values.items():
        if not _is_valid(name, value):
            raise RuleError(_PROBLEMS[name])
    return RuleSettings(**values)  # type: ignore[arg-type]


def written_instruction(text: str) -> str:
    """On one line, without what cannot be seen. Raises RuleError."""
    line = " ".join("".join(char if char.isprintable() else " " for char in sendable(text)).split())
    if len(text) > LONGEST_INSTRUCTION:
        raise RuleError(RuleProblem.INSTRUCTION)
    return line


@cache
def languages() -> dict[str, str]:
    """Code of two letters → English name."""
    return {code: name for code, name in Locale("en").languages.items() if _CODE.fullmatch(code)}


def _values(settings: RuleSettings | None) -> dict[str, object]:
    if settings is None:
        return {}
    found = {field.name: getattr(settings, field.name) for field in fields(settings)}
    return {name: value for name, value in found.items() if value is not None}


def _is_valid(name: str, value: object) -> bool:
    match name:
        case "mode":
            return value in set(Mode)
        case "language":
            return value == AS_POST or value in languages()
        case "most_tags":
            return isinstance(value, int) and 1 <= value <= MOST_TAGS
        case "instruction":
            return isinstance(value, str) and len(value) <= LONGEST_INSTRUCTION
        case "hashtag_style":
            return value in set(HashtagStyle)
        case _:
            return isinstance(value, bool)


_PROBLEMS = {
    "mode": RuleProblem.MODE,
    "language": RuleProblem.LANGUAGE,
    "most_tags": RuleProblem.NUMBER,
    "instruction": RuleProblem.INSTRUCTION,
    "hashtag_style": RuleProblem.STYLE,
}
