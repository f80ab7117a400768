"""What the benchmarks stand on: a stand-in that answers truthfully, and a report that shows what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bodies import bodies
from benchmarks.figures import Figure
from benchmarks.posts import asked, marker, tags_of, text_of
from benchmarks.report import BEGIN, END, rewrite
from benchmarks.results import Results, load, save
from benchmarks.scenarios import Result
from benchmarks.standins.faults import Deck
from benchmarks.standins.http import Request
from benchmarks.standins.provider import ProviderStandIn
from services.llm.answer_parser import read_answer
from services.llm.prompts import answer_schema, messages

Json = dict[str, Any]


def _body(*numbers: int, model: str = "one/model", **more: object) -> Json:
    texts = [text_of(number) for number in numbers]
    return {"model": model, "messages": messages(texts), "response_format": answer_schema(len(texts)), **more}


def _asked(provider: ProviderStandIn, path: str, body: Json) -> tuple[Any, int]:
    answers: list[tuple[Any, int]] = []
    request = Request(path, json.dumps(body).encode())
    provider.handle(request, lambda value, status=200, _headers=None: answers.append((value, status)))
    return answers[0]


def test_each_post_gets_the_tags_that_only_it_can_have() -> None:
    """The bot reads out of the stand-in's answer the tags of each post's own marker, one post or several."""
    for numbers in ((7,), (30, 4, 900)):
        body = _body(*numbers)
        value, status = _asked(ProviderStandIn(), "/api/v1/chat/completions", body)
        content = value["choices"][0]["message"]["content"]
        reading = read_answer(content, len(numbers), [text_of(number) for number in numbers])
        assert status == 200
        assert reading.tags == {at: tuple(tags_of(marker(number))) for at, number in enumerate(numbers, start=1)}


def test_markers_differ() -> None:
    """No post has another's marker, and so none another's tags."""
    assert len({marker(number) for number in range(20_000)}) == 20_000


def test_a_dead_model_is_passed_over_only_where_models_are_understood() -> None:
    """OpenRouter goes on to the next of `models`; a plain server answers 503."""
    body, provider = _body(1, models=["one/model", "two/model"]), ProviderStandIn()
    for openrouter, expected in ((True, 200), (False, 503)):
        _asked(provider, "/bench/plan", {"dead": ["one/model"], "openrouter": openrouter})
        assert _asked(provider, "/api/v1/chat/completions", body)[1] == expected


def test_the_rate_of_faults_is_exact_and_repeatable() -> None:
    """15 of each 100, in the order of the seed."""
    first, again, other = Deck(0.15, 1), Deck(0.15, 1), Deck(0.15, 2)
    dealt = [first.deal() for _ in range(300)]
    assert [sum(card is not None for card in dealt[start : start + 100]) for start in (0, 100, 200)] == [15, 15, 15]
    assert dealt == [again.deal() for _ in range(300)]
    assert dealt != [other.deal() for _ in range(300)]


def test_the_floor_asks_what_the_bot_asks() -> None:
    """The bare loop's requests are the bot's own, each with its post's text, of the same length."""
    example = _body(1)
    made = list(bodies(example, 3))
    assert made[0] == example
    assert [list(asked(body["messages"][-1]["content"])) for body in made] == [[(1, marker(n))] for n in (1, 2, 3)]
    assert len({len(json.dumps(body)) for body in made}) == 1


@pytest.mark.parametrize(
    ("value", "limits", "met"),
    [
        (1.2, {"at_most": 1.2}, True),
        (1.21, {"at_most": 1.2}, False),
        (0.4, {"at_least": 0.4}, True),
        (0.39, {"at_least": 0.4}, False),
        (None, {"at_least": 0.4}, None),
        (5.0, {}, None),
    ],
)
def test_a_target_is_met_at_its_limit(value: float | None, limits: dict[str, float], met: bool | None) -> None:
    """A figure that was not measured, or has no target, is neither met nor missed."""
    assert Figure(name="a", value=value, unit="", counted="", **limits).met is met  # type: ignore[arg-type]


def test_the_report_shows_what_was_measured(tmp_path: Path) -> None:
    """results.json is read back as it was written, and its figures replace what stood between the marks."""
    figure = Figure(name="speed | a", value=0.5, unit="×", counted="how", floor="1", at_least=0.7)
    results = Results("2026-01-01", 60.0, {"cores": "2"}, [Result("chat", 5.0, [figure]), Result("x", 0.0, (), "no x")])
    save(results, tmp_path / "results.json")
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    rewrite(document, load(tmp_path / "results.json"))
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "| chat | speed / a | 0.500 × | ≥ 0.7 | MISSED | 1 |" in text
    assert "not run: no x" in text
