"""How long requests take, as a worker sees it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from services.tagging import tempo as product
from services.tagging.tempo import AHEAD_SECONDS, MOST_AHEAD, QUICK_SECONDS, SILENCE_SECONDS, Tempo

CONCURRENCY = 10


def test_nothing_is_planned_ahead_before_anything_is_known() -> None:
    tempo = Tempo()
    assert tempo.ahead(CONCURRENCY) == 0
    assert not tempo.is_quick


@pytest.mark.parametrize(
    ("seconds", "ahead", "is_quick"),
    [
        (AHEAD_SECONDS / 2, 2 * CONCURRENCY, True),
        (AHEAD_SECONDS / 4, 4 * CONCURRENCY, True),
        (0.0, int(MOST_AHEAD * CONCURRENCY), True),  # not more than that, however quick
        (AHEAD_SECONDS * CONCURRENCY * 2, 0, False),
        (QUICK_SECONDS, int(CONCURRENCY * AHEAD_SECONDS / QUICK_SECONDS), False),
    ],
)
def test_as_much_is_planned_as_is_made_meanwhile(seconds: float, ahead: int, is_quick: bool) -> None:
    tempo = Tempo()
    tempo.learn([seconds] * 5, in_flight=5)
    assert (tempo.ahead(CONCURRENCY), tempo.is_quick) == (ahead, is_quick)


@pytest.mark.parametrize("held", [0, CONCURRENCY // 2, CONCURRENCY])
def test_the_time_of_a_transaction_is_none_of_the_providers(held: int) -> None:
    """What came meanwhile looks slow; otherwise each transaction would make the next group smaller."""
    tempo, took, transaction = Tempo(), AHEAD_SECONDS / 2, AHEAD_SECONDS * 5
    tempo.held_up(transaction, held)
    tempo.learn([took + transaction] * held + [took] * CONCURRENCY, in_flight=CONCURRENCY)
    assert tempo.ahead(CONCURRENCY) in {2 * CONCURRENCY - 1, 2 * CONCURRENCY}
    assert tempo.is_quick


def test_it_is_taken_off_once() -> None:
    """What ends later was held up by nothing."""
    tempo = Tempo()
    tempo.held_up(2.0, 3)
    tempo.learn([2.01] * 3, in_flight=3)
    assert tempo.is_quick
    tempo.learn([2.0] * 3, in_flight=3)
    assert not tempo.is_quick


def test_silence_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as something is in flight."""
    seconds = 100.0
    monkeypatch.setattr(product, "time", SimpleNamespace(monotonic=lambda: seconds))
    tempo = Tempo()
    tempo.learn([0.001], in_flight=1)
    tempo.heard()
    seconds += SILENCE_SECONDS
    tempo.learn([], in_flight=0)
    assert tempo.is_quick
    tempo.learn([], in_flight=1)
    assert not tempo.is_quick
