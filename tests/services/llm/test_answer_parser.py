import json
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.llm.answer_checks import AnswerProblem
from services.llm.answer_parser import read_answer
from services.llm.prompts import Offer, messages, rules

POST = "Сегодня в Москве открылся новый большой парк, сообщили городские власти."
COFFEE = ("кофе", "утро")


def read_one(content: str, text: str = POST, *, cut: bool = False) -> tuple[str, ...] | str:
    reading = read_answer(content, 1, [text], cut=cut)
    assert set(reading.tags) ^ set(reading.problems) == {1}
    return reading.tags[1] if 1 in reading.tags else reading.problems[1]


def read_many(content: str, count: int = 2) -> dict[int, tuple[str, ...]]:
    reading = read_answer(content, count, ["text"] * count)
    assert set(reading.tags) ^ set(reading.problems) == set(range(1, count + 1))
    return reading.tags


@pytest.mark.parametrize(
    "content",
    [
        '{"tags": ["кофе", "утро"]}',
        '{"Tags": ["Кофе", "#утро"]}',
        '{"posts": [{"id": 1, "tags": ["кофе", "утро"]}]}',
        '[{"id": 1, "tags": ["кофе", "утро"]}]',
        '{"1": ["кофе", "утро"]}',
        '{"post": {"tags": ["кофе", "утро"]}}',
        '["кофе", "утро"]',
        '[["кофе", "утро"]]',
        '{"language": "ru", "keywords_found": ["кофе", "утро"]}',
        '{"tags": "кофе, утро"}',
        '{"tags": [{"tag": "кофе"}, {"name": "утро"}]}',
        '```json\n{"tags": ["кофе", "утро"]}\n```',
        'Sure! Here you are:\n```\n["кофе", "утро"]\n```\nHope [this] helps, I\'m here.',
        'Вот теги: {"tags": ["кофе", "утро"]} — готово.',
        '<think>Maybe {"tags": ["чай"]}?</think>\n{"tags": ["кофе", "утро"]}',
        'Maybe ["чай"]? No.</think>{"tags": ["кофе", "утро"]}',
        '{"tags": ["кофе", "утро"]}<think>was it right? ["чай"]',
        'Draft: {"tags": ["чай"]}. Final: {"tags": ["кофе", "утро"]}',
        '{"tags": ["кофе", "утро"]}\nSee {} and [1].',
        '{"tags": ["кофе", "утро",],}',
        "{“tags”: [“кофе”, “утро”]}",
        "{«tags»: [«кофе», «утро»]}",
        "{'tags': ['кофе', 'утро']}",
        '{tags: ["кофе", "утро"]}',
        '{"tags": ["кофе" "утро"]}',
        '{"tags": ["кофе", "утро", "день}]',
        '{"tags": ["кофе", "утро"]',
        '{"tags": ["кофе", "утро", "завтр',
        "{“tags”: [“кофе”, “утро”, “завтр",
        "['кофе', 'утро', 'завтр",
        "[кофе, утро, завтр",
        '{"posts": [{"id": 1, "tags": ["кофе", "утро", "завтр',
        'By [the way: {"tags": ["кофе", "утро"]}',
        '"{\\"tags\\": [\\"кофе\\", \\"утро\\"]}"',
        "кофе, утро",
        "Теги: кофе, утро",
        "**Tags:** кофе, утро.",
        "#кофе #утро",
        "Here are the tags:\n\nкофе, утро\n",
        "- кофе\n- утро",
        "Here are the tags:\n1. кофе\n2. утро",
        "```\nкофе, утро\n```",
        "• **кофе**\n• **утро**",
    ],
)
def test_one_post_is_read_from_whatever_shape(content: str) -> None:
    assert read_one(content) == COFFEE


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", AnswerProblem.NOTHING),
        ("  \n", AnswerProblem.NOTHING),
        ("<think>thinking about кофе, утро", AnswerProblem.ONLY_THINKING),
        ('<think>{"tags": ["чай"]}</think>', AnswerProblem.ONLY_THINKING),
        ("I'm sorry, I cannot help with this request.", AnswerProblem.REFUSAL),
        ("I’m sorry, but I can’t assist with that, friend.", AnswerProblem.REFUSAL),
        ("As an AI, I cannot, sorry", AnswerProblem.REFUSAL),
        ("Извините, я не могу, не просите", AnswerProblem.REFUSAL),
        ("К сожалению, не могу помочь с этим.", AnswerProblem.REFUSAL),
        ('{"tags": ["I\'m sorry, I cannot help"]}', AnswerProblem.REFUSAL),
        ('{"tags": ["извините, я не могу"]}', AnswerProblem.REFUSAL),
        ('{"error": "I cannot do that"}', AnswerProblem.REFUSAL),
        ("Ok", AnswerProblem.NO_LIST),
        ('{"tags": ["чай"]}<think>No.</think> Hm.</think>Ok', AnswerProblem.NO_LIST),
        ("кофе", AnswerProblem.NO_LIST),
        ("Sure, done", AnswerProblem.NO_LIST),
        ("This post is about coffee, which the author drinks in the morning.", AnswerProblem.NO_LIST),
        ("See [note](https://example.org).", AnswerProblem.NO_LIST),
        ('{"language": "ru"}', AnswerProblem.NO_TAGS_KEY),
        ('{"tags": []}', AnswerProblem.NO_USABLE_TAG),
        ('{"tags": [1, null, "!"]}', AnswerProblem.NO_USABLE_TAG),
        ('{"tags": null}', AnswerProblem.NO_USABLE_TAG),
        ('{"posts": [{"id": 2, "tags": ["чай"]}]}', AnswerProblem.MISSING),
        ('{"id": 2, "tags": ["чай"]}', AnswerProblem.MISSING),
        ('Maybe {"tags": ["чай"]}?</think>', AnswerProblem.ONLY_THINKING),
        ('{"posts": [{"id": 1, "tags": ["чай"]}, {"id": 1, "tags": ["кот"]}]}', AnswerProblem.NUMBER_DOUBLED),
        ('{"tags": ["чай"], "tags": ["кот"]}', AnswerProblem.NUMBER_DOUBLED),
        (json.dumps({"tags": [POST]}), AnswerProblem.ECHO_POST),
        (json.dumps({"tags": POST.rstrip(".").split(", ")}), AnswerProblem.ECHO_POST),
        (POST, AnswerProblem.ECHO_POST),
        (rules(1), AnswerProblem.ECHO_PROMPT),
        (messages([POST], [Offer((1,), ("кофе", "утро"))])[1]["content"], AnswerProblem.ECHO_PROMPT),
        ('{"tags": ["write them in lower case", "tags"]}', AnswerProblem.ECHO_PROMPT),
        ('{"tags": ["lower case", "short phrase", "noun"]}', AnswerProblem.ECHO_PROMPT),
    ],
)
def test_what_is_no_answer_has_a_reason(content: str, problem: str) -> None:
    assert read_one(content) == problem


def test_words_of_the_post_are_tags() -> None:
    assert read_one('{"tags": ["москве", "парк"]}') == ("москве", "парк")
    assert read_one('{"tags": ["python", "asyncio"]}', text="Python asyncio") == ("python", "asyncio")


def test_a_list_that_was_cut_loses_its_last_item() -> None:
    assert read_one("кофе, утро, завтр", cut=True) == COFFEE
    assert read_one("- кофе\n- утро\n- завтр", cut=True) == COFFEE


@pytest.mark.parametrize(
    "content",
    [
        '{"posts": [{"id": 1, "tags": ["кофе"]}, {"id": 2, "tags": ["утро"]}]}',
        '{"posts": [{"id": 2, "tags": ["утро"]}, {"id": 1, "tags": ["кофе"]}]}',
        '{"posts": [{"id": "1", "tags": "кофе"}, {"id": "Post 2", "tags": ["утро"]}]}',
        '[{"id": 1, "tags": ["кофе"]}, {"id": 2, "tags": ["утро"]}]',
        '{"1": ["кофе"], "2": ["утро"]}',
        '{"posts": {"1": ["кофе"], "2": {"tags": ["утро"]}}}',
        '{"results": [{"id": 1, "tags": ["кофе"]}, {"id": 2, "tags": ["утро"]}]}',
        '{"id": 1, "tags": ["кофе"]}\n{"id": 2, "tags": ["утро"]}',
        '```json\n{"posts": [{"id": 1, "tags": ["кофе",]}, {"id": 2, "tags": ["утро"]},]}\n```',
        "{'posts': [{'id': 1, 'tags': ['кофе']}, {'id': 2, 'tags': ['утро']}]}",
        '<think>[{"id": 1, "tags": ["чай"]}]</think>[{"id": 1, "tags": ["кофе"]}, {"id": 2, "tags": ["утро"]}]',
        '{"posts": [{"id": 1, "tags": ["кофе"]}, {"id": 2, "tags": ["утро", "завтр',
        '{"1": ["кофе"], "2": ["утро", "завтр',
        '{"1": ["кофе", "2": ["утро"]}',
        '{"posts": [{"id": 1, "tags": ["кофе"]} {"id": 2, "tags": ["утро"}]',
        '{"posts": [{"id": 1, "tags": ["кофе"]}, {"id": 2, "tags": ["утро"]}, {"id": 9, "tags": ["кот"]}]}',
    ],
)
def test_several_posts_are_read_by_number(content: str) -> None:
    assert read_many(content) == {1: ("кофе",), 2: ("утро",)}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"posts": [{"id": 2, "tags": ["утро"]}]}', {2: ("утро",)}),
        ('{"posts": [{"tags": ["кофе"]}, {"tags": ["утро"]}]}', {}),
        ('[["кофе"], ["утро"]]', {}),
        ('{"tags": ["кофе"]}', {}),
        (
            '{"posts": [{"id": 1, "tags": ["a1"]}, {"id": 1, "tags": ["b1"]}, {"id": 2, "tags": ["b2"]}]}',
            {2: ("b2",)},
        ),
        ('{"1": ["a1"], "1": ["b1"], "2": ["b2"]}', {2: ("b2",)}),
        ('{"posts": [{"id": 0, "tags": ["a1"]}, {"id": 1, "tags": ["b1"]}]}', {}),
        ('{"posts": [{"id": 2, "tags": ["a1"]}, {"id": 3, "tags": ["b1"]}]}', {}),
        ('{"posts": [{"id": 1, "tags": ["a1"], "id": 2, "tags": ["b1"]', {}),
        ('{"posts": [{"id": 1, "tags": ["a1"], "id": 2}', {}),
        ('{"posts": [{"id": true, "tags": ["a1"]}]}', {}),
        ('{"1": ["a1"] "1": ["b1"], "2": ["b2"]}', {}),
        ("кофе, утро", {}),
    ],
)
def test_without_its_own_number_a_post_gets_nothing(content: str, expected: dict[int, tuple[str, ...]]) -> None:
    assert read_many(content) == expected


def test_each_post_has_its_own_reason() -> None:
    answer = '{"posts": [{"id": 1, "tags": []}, {"id": 3, "tags": ["a3"]}, {"id": 3, "tags": ["b3"]}]}'
    reading = read_answer(answer, 4, ["text"] * 4)
    assert reading.problems == {
        1: AnswerProblem.NO_USABLE_TAG,
        2: AnswerProblem.MISSING,
        3: AnswerProblem.NUMBER_DOUBLED,
        4: AnswerProblem.MISSING,
    }


def as_posts(pairs: list[tuple[int, str]]) -> str:
    return json.dumps({"posts": [{"id": number, "tags": [tag, f"{tag} more"]} for number, tag in pairs]})


def as_keys(pairs: list[tuple[int, str]]) -> str:
    return "{" + ", ".join(f'"{number}": ["{tag}", "{tag} more"]' for number, tag in pairs) + "}"


def as_lines(pairs: list[tuple[int, str]]) -> str:
    return "\n".join(json.dumps({"id": number, "tags": [tag, f"{tag} more"]}) for number, tag in pairs)


def as_sloppy(pairs: list[tuple[int, str]]) -> str:
    return "Here:\n" + as_posts(pairs).replace('"', "'").replace("]}", ",]}")


@example(numbers=[-1, 3, 3], spell=as_keys, cut=400, lost={1})
@settings(max_examples=settings().max_examples * 3)
@given(
    numbers=st.lists(st.integers(min_value=-1, max_value=9), max_size=8),
    spell=st.sampled_from([as_posts, as_keys, as_lines, as_sloppy]),
    cut=st.integers(min_value=0, max_value=400),
    lost=st.sets(st.integers(min_value=0, max_value=300), max_size=2),
)
def test_no_post_gets_the_tags_of_another(
    numbers: list[int], spell: Callable[[list[tuple[int, str]]], str], cut: int, lost: set[int]
) -> None:
    """Shuffled, dropped, doubled, renumbered out of range, cut off, with a character lost here and there."""
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "minus"]
    whole = spell([(number, names[number]) for number in numbers])
    broken = "".join(char for place, char in enumerate(whole) if place not in lost or char.isalnum() or char == "-")
    for number, tags in read_many(broken[: len(broken) - cut] if cut < len(broken) else broken, 5).items():
        others = {name for name in names if name != names[number]}
        assert not others & {word for tag in tags for word in tag.split()}


def test_whole_answers_with_distinct_numbers_lose_nothing() -> None:
    for spell in (as_posts, as_keys, as_lines, as_sloppy):
        assert set(read_many(spell([(3, "three"), (1, "one"), (2, "two")]), 3)) == {1, 2, 3}


FRAGMENTS = st.sampled_from(
    [
        '{"tags": [',
        '"кофе"',
        ",",
        "]",
        "}",
        "[",
        "{",
        "'",
        '"',
        "“",
        "»",
        "\\",
        "<think>",
        "</think>",
        "```json\n",
        "- a\n",
        '"id": 1',
        '"posts": [',
        ":",
        "1",
        "\n",
        " ",
        "Извините, я не могу",
        "\x00",
        "\ud800",
        "null",
        "1e999",
        "NaN",
        "//",
    ]
)


@settings(max_examples=settings().max_examples * 5)
@given(
    st.lists(FRAGMENTS | st.text(max_size=5), max_size=40).map("".join),
    st.integers(min_value=1, max_value=3),
    st.booleans(),
)
def test_reading_never_raises(content: str, count: int, cut: bool) -> None:
    reading = read_answer(content, count, [POST] * count, cut=cut)
    assert set(reading.tags) ^ set(reading.problems) == set(range(1, count + 1))
    assert all(0 < len(tags) <= 7 for tags in reading.tags.values())


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "{",
        "]",
        '"',
        "'",
        '\\"',
        '"\\',
        "<think>",
        "</think>",
        "a, ",
        "- a\n",
        " ",
        ", ",
        '["a",',
        '{"a":',
        "« ",
        "['",
        "[ ",
        '{"id": 1, "tags": ["a"',
        "[a",
        "{'a': [",
        "I ",
        "#a ",
        "\n",
        "[“",
        '{"1": "b" "2": ',
        "1,",
        "``` ",
    ],
)
def test_a_megabyte_of_anything_is_read_quickly(piece: str, count: int) -> None:
    content = piece * (2**20 // len(piece))
    start = time.process_time()
    read_answer(content, count, [POST] * count)
    assert time.process_time() - start < 2


def test_ten_thousand_tags_become_seven() -> None:
    many = [f"tag{n}" for n in range(10_000)]
    assert read_one(json.dumps({"tags": many})) == tuple(many[:7])
    assert read_one("Here: " + json.dumps({"tags": many})[:-30]) == tuple(many[:7])
    assert read_one(", ".join(many)[:10_000]) == tuple(many[:7])
