"""How a tag is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tags.keys import tag_key
from services.tags.names import tag_name


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("нейросеть", "нейросеть"),
        ("нейросетей", "нейросети"),
        ("нейронных_сетей", "нейронные сети"),
        ("нейронных-сетей", "нейронные-сети"),
        ("премьер-министра", "премьер-министр"),
        ("искусственного интеллекта", "искусственный интеллект"),
        ("россии", "россия"),
        ("москве", "москва"),
        ("больших языковых моделей", "большие языковые модели"),
        ("изменения климата", "изменения климата"),
        ("обучение машинное", "обучение машинное"),
        ("санкции против россии", "санкции против россии"),
        ("на работе", "на работе"),
        ("ютуб", "ютуб"),
        ("ютубы", "ютубы"),
        ("machine_learning", "machine learning"),
        ("neural networks", "neural networks"),
        ("gpt-4", "gpt-4"),
        ("ios 17", "ios 17"),
        ("новини", "новини"),
        ("c++", "c++"),
    ],
)
def test_a_name_is_the_first_spelling_in_the_nominative(spelling: str, name: str) -> None:
    assert tag_name(spelling) == name


@given(st.text(alphabet="абвгдежзийклмнопрстуфхцчшщъыьэюя _-abc1", min_size=1, max_size=30))
def test_a_name_has_the_key_of_its_spelling(spelling: str) -> None:
    assert tag_key(tag_name(spelling)) == tag_key(spelling)
