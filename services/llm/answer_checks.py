"""PURE: why candidate tags are none: a refusal, or a copy of the prompt or of the post."""

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from functools import cache

from services.llm.prompts import FRAME, IN_USE, rules
from services.tags.normalisation import MAX_TAGS, MAX_WORDS, PIECE_LIMIT
from services.text import sendable


class AnswerProblem(StrEnum):
    NOTHING = "an empty answer"
    ONLY_THINKING = "nothing but thinking"
    NO_LIST = "no JSON and no list"
    NO_TAGS_KEY = "JSON without tags"
    REFUSAL = "a refusal"
    ECHO_PROMPT = "an echo of the prompt"
    ECHO_POST = "an echo of the post"
    NO_USABLE_TAG = "no usable tag"
    MISSING = "number missing"
    NUMBER_DOUBLED = "number doubled"
    OTHER_NUMBERS = "numbered otherwise than asked"
    ANOTHERS = "the tags of another post"
    PUT_THERE = "tags that another post put there"
    ORDERS = "the text gave orders about other posts' tags"


_WORD = re.compile(r"\w+")
_REFUSALS = re.compile(
    r"\b(?:i['’]?m|i am|we['’]?re) (?:very |so |really )?(?:sorry|unable|afraid|not able)\b"
    r"|\bsorry,? (?:but )?(?:i|we)\b"
    r"|\bi (?:cannot|can['’]?t|can not|won['’]?t|will not|am unable|must decline|must refuse)\b"
    r"|\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b"
    r"|\b(?:cannot|can['’]?t) (?:assist|help|comply|fulfil|provide|process)\b"
    r"|\b(?:извините|простите|к сожалению|прошу прощения)\b[\s,.!:—-]{0,5}(?:но )?(?:я|мы|не)\b"
    r"|\bя не (?:могу|буду|в состоянии|имею возможности)\b"
    r"|\bне (?:могу|можем|смогу) (?:помочь|выполнить|обработать|ответить|предоставить|обсуждать)"
    r"|\bкак (?:ии|языковая модель|искусственный интеллект)\b",
    re.IGNORECASE,
)
#: Lines of the user message: below them stand tags, which are no answer.
_ECHOED_LINES = re.compile(rf"^\W*(?:{FRAME}|{IN_USE})\b.*:", re.MULTILINE)
_ECHOED_WORDS = 4
_ECHOED_POST_WORDS = 5


def problem_of_candidates(candidates: Sequence[str], text: str, count: int) -> AnswerProblem | None:
    """Why the candidates for this post are no tags; None if they may be."""
    if any(_REFUSALS.search(candidate[:PIECE_LIMIT]) for candidate in candidates if not candidate.isalnum()):
        return AnswerProblem.REFUSAL
    return _echo(candidates, text, count)


def problem_of_list(answer: str, candidates: Sequence[str], text: str) -> AnswerProblem | None:
    """Why a plain list is no tags of the only post; None if it may be."""
    if _REFUSALS.search(answer[:PIECE_LIMIT]):
        return AnswerProblem.REFUSAL
    if _ECHOED_LINES.search(answer):
        return AnswerProblem.ECHO_PROMPT
    joined = _words(" ".join(candidates)[:PIECE_LIMIT])
    return AnswerProblem.ECHO_POST if _copied(joined, _words(sendable(text)), _ECHOED_WORDS) else None


def problem_of_answer(answer: str, texts: Sequence[str], *, has_json: bool) -> AnswerProblem:
    said = _words(_beginning(answer))
    if _REFUSALS.search(answer[: PIECE_LIMIT * 5]):
        return AnswerProblem.REFUSAL
    if any(_copied(said, _words(sendable(text)), _ECHOED_WORDS) for text in texts):
        return AnswerProblem.ECHO_POST
    if _copied(said, _words_of_rules(len(texts) > 1), _ECHOED_WORDS):
        return AnswerProblem.ECHO_PROMPT
    return AnswerProblem.NO_TAGS_KEY if has_json else AnswerProblem.NO_LIST


def _echo(candidates: Sequence[str], text: str, count: int) -> AnswerProblem | None:
    said = [_words(_beginning(candidate)) for candidate in candidates[: MAX_TAGS * 3]]
    post, prompt = _words(sendable(text)), _words_of_rules(count > 1)
    if _is_whole_post(said, post) or any(_copied(item, post, MAX_WORDS + 1) for item in said):
        return AnswerProblem.ECHO_POST
    if any(_copied(item, prompt, _ECHOED_WORDS) for item in said):
        return AnswerProblem.ECHO_PROMPT
    are_phrases = sum(" " in item for item in said) > 1
    if are_phrases and all(_within(item, prompt) for item in said) and not any(_within(item, post) for item in said):
        return AnswerProblem.ECHO_PROMPT
    return None


def _is_whole_post(said: Sequence[str], post: str) -> bool:
    """Whether the candidates in a row are the post's sentence, and not just its few keywords."""
    words = len(post.split())
    phrased = any(len(item.split()) > 1 for item in said)
    return " ".join(said) == post and (words > MAX_TAGS or (words >= _ECHOED_POST_WORDS and phrased))


def _copied(item: str, source: str, words: int) -> bool:
    return item.count(" ") >= words - 1 and _within(item, source)


def _within(item: str, source: str) -> bool:
    return f" {item} " in f" {source} "


def _beginning(text: str) -> str:
    return text[:PIECE_LIMIT].rpartition(" ")[0] if len(text) > PIECE_LIMIT else text


def _words(text: str) -> str:
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold().replace("ё", "е")))


@cache
def _words_of_rules(several: bool) -> str:
    return _words(rules(2 if several else 1))
