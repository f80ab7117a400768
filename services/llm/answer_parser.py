"""PURE: a model's answer → the tags of each post, or why there are none."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.llm.answer_checks import AnswerProblem, problem_of_answer, problem_of_candidates, problem_of_list
from services.llm.answer_shapes import Candidates, candidates_in
from services.llm.attribution import counted_otherwise, doubtful
from services.llm.json_extraction import json_values, without_thinking
from services.llm.orders import spread
from services.llm.plain_list import plain_list
from services.tags.normalisation import MAX_TAGS, clean_tags
from services.tags.rules import NO_RULES, Rules
from services.text import sendable


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """Clean tags by post number, and the problem of every other number. No tags: none of the only ones fits."""

    tags: dict[int, tuple[str, ...]]
    problems: dict[int, AnswerProblem]


def read_answer(
    content: str,
    count: int,
    texts: Sequence[str],
    *,
    cut: bool = False,
    json_only: bool = False,
    rules: Rules = NO_RULES,
) -> ParsedAnswer:
    """The tags of posts 1…`count` in a model's answer. Never raises.

    Posts are told apart by their numbers, never by their order. Of several JSON blocks with tags the last counts, since
    models draft first. `cut`: the answer ran into its token limit; `json_only`: a list in prose is no answer.
    """
    numbers = range(1, count + 1)
    answer = without_thinking(content)
    if not answer:
        return _all(numbers, AnswerProblem.ONLY_THINKING if content.strip() else AnswerProblem.NOTHING)
    values = json_values(answer, numbered=count > 1)
    first: ParsedAnswer | None = None
    for candidates in candidates_in(values, count):
        parsed = _checked(candidates, count, texts, rules, cut=cut)
        if parsed.tags:
            return parsed
        first = first or parsed
    if first is not None:
        return first
    if count == 1 and not json_only:
        return _read_plain(answer, texts, rules, cut=cut, has_json=bool(values))
    return _all(numbers, problem_of_answer(answer, texts, has_json=bool(values)))


def _checked(candidates: Candidates, count: int, texts: Sequence[str], rules: Rules, *, cut: bool) -> ParsedAnswer:
    numbers = range(1, count + 1)
    if counted_otherwise(candidates, count):
        return _all(numbers, AnswerProblem.OTHER_NUMBERS)
    parsed = ParsedAnswer({}, {})
    for number in numbers:
        text = texts[number - 1] if number <= len(texts) else ""
        found = _tags_of(candidates[number], text, count, rules) if number in candidates else AnswerProblem.MISSING
        if isinstance(found, AnswerProblem):
            parsed.problems[number] = found
        else:
            parsed.tags[number] = found
    return _attributed(parsed, [sendable(text) for text in texts], cut=cut) if count > 1 else parsed


def _attributed(parsed: ParsedAnswer, texts: Sequence[str], *, cut: bool) -> ParsedAnswer:
    """Without the tags that are not their post's own."""
    some = {number: tags for number, tags in parsed.tags.items() if tags}
    ordered = spread(some, texts)
    problems = dict.fromkeys(doubtful(some, texts, cut=cut), AnswerProblem.ANOTHERS)
    problems |= dict.fromkeys(ordered.doubted, AnswerProblem.PUT_THERE)
    problems |= dict.fromkeys(ordered.sources, AnswerProblem.ORDERS)
    tags = {number: tags for number, tags in parsed.tags.items() if number not in problems}
    return ParsedAnswer(tags, {**parsed.problems, **problems})


def _tags_of(candidates: list[str] | None, text: str, count: int, rules: Rules) -> tuple[str, ...] | AnswerProblem:
    if candidates is None:
        return AnswerProblem.NUMBER_DOUBLED
    if rules.is_closed and not any(map(str.strip, candidates)):
        return ()
    tags = clean_tags(candidates, max(MAX_TAGS, rules.most))
    return problem_of_candidates(candidates, text, count) or tags or AnswerProblem.NO_USABLE_TAG


def _read_plain(answer: str, texts: Sequence[str], rules: Rules, *, cut: bool, has_json: bool) -> ParsedAnswer:
    candidates = plain_list(answer, cut=cut)
    if not candidates:
        return _all([1], problem_of_answer(answer, texts, has_json=has_json))
    problem = problem_of_list(answer, candidates, texts[0] if texts else "")
    return _all([1], problem) if problem else _checked({1: candidates}, 1, texts, rules, cut=cut)


def _all(numbers: Iterable[int], problem: AnswerProblem) -> ParsedAnswer:
    return ParsedAnswer({}, dict.fromkeys(numbers, problem))
