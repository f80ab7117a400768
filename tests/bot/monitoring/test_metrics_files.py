"""What dashboards, alerts and the documentation say of metrics is what /metrics has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from services.llm.outcomes import Kind
from tests.metrics_seen import exposed

ROOT = Path(__file__).parents[3]
DASHBOARD = ROOT / "deploy/grafana/metka.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
SCRAPING = ROOT / "deploy/prometheus/prometheus.yml"
DOCUMENT = ROOT / "docs/metrics.md"

#: What Prometheus itself adds: to every scrape, and to every series.
ITS_OWN = {"up": set[str]()}
ITS_LABELS = {"job", "instance"}
WORDS = {"by", "on", "and", "or", "unless", "without", "ignoring", "group_left", "group_right", "bool", "offset"}
FUNCTIONS = {"sum", "max", "min", "rate", "increase", "histogram_quantile", "time", "max_over_time", "min_over_time"}


@dataclass(frozen=True)
class Used:
    """What an expression names."""

    metrics: set[str]
    labels: set[str]


def read_expression(expression: str) -> Used:
    """The metrics and labels in an expression; fails for brackets that do not match and for unknown functions."""
    plain = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    matchers = re.findall(r"\{([^{}]*)\}", plain)
    labels = {name for each in matchers for name in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", each)}
    grouped = re.findall(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^()]*)\)", plain)
    labels |= {name.strip() for each in grouped for name in each.split(",") if name.strip()}
    rest = re.sub(r"\{[^{}]*\}", "", plain)
    rest = re.sub(r"\[[^\[\]]+\]", "", rest)
    rest = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^()]*\)", r"\1", rest)
    assert matched(rest), expression
    functions = set(re.findall(r"\b([a-z_]+)\s*\(", rest)) - WORDS
    assert functions <= FUNCTIONS, functions - FUNCTIONS
    return Used(set(re.findall(r"\b[a-z_][a-z0-9_:]*\b", rest)) - WORDS - FUNCTIONS, labels)


def matched(expression: str) -> bool:
    """Whether every round bracket has its other half, and no other kind is left."""
    depth = 0
    for sign in expression:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth < 0 or sign in "[]{}":
            return False
    return depth == 0


def families() -> list[Metric]:
    """What /metrics has after everything was seen."""
    return list(text_string_to_metric_families(exposed().decode()))


def series() -> dict[str, set[str]]:
    """The name of every sample → its labels."""
    found: dict[str, set[str]] = dict(ITS_OWN)
    for family in families():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def panels() -> Iterator[dict[str, Any]]:
    yield from json.loads(DASHBOARD.read_text())["panels"]


def dashboard_expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel.get("targets", [])]


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


EXPRESSIONS = [*dashboard_expressions(), *(rule["expr"] for rule in rules())]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions_name_what_there_is(expression: str) -> None:
    """Metrics with their suffixes, and labels that one of them has."""
    known, used = series(), read_expression(expression)
    assert used.metrics
    assert used.metrics <= known.keys(), used.metrics - known.keys()
    assert used.labels <= ITS_LABELS.union(*(known[name] for name in used.metrics)), used.labels


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_label_values_are_possible(expression: str) -> None:
    """An outcome, status or reason that is misspelt would match nothing for ever."""
    known: dict[str, set[str]] = {}
    for family in families():
        for sample in family.samples:
            for label, value in sample.labels.items():
                known.setdefault(label, set()).add(value)
    known["status"] |= {"retrying", "success", "skipped"}
    known["result"] |= {"ignored", "failed"}
    for label, value in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', expression):
        if label not in ITS_LABELS:
            assert set(value.split("|")) <= known[label], (label, value)


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    """A metric that nobody looks at needs no place in the code."""
    used = {name for expression in dashboard_expressions() for name in read_expression(expression).metrics}
    ours = {name.removesuffix("_bucket") for name in series() if name.startswith("metka_")}
    ours = {name for name in ours if not name.endswith(("_seconds_sum", "_seconds_count"))}
    assert ours == {name.removesuffix("_bucket") for name in used if name.startswith("metka_")}


def test_panels_are_complete() -> None:
    """A title, a description and a data source that can be chosen; none lies over another."""
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    for panel in panels():
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not taken & cells, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["description"]
            assert panel["datasource"]["uid"] == "${datasource}"


def test_alerts_are_complete() -> None:
    """Each has its own name, a severity, and says what is wrong and what to do."""
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names) >= 8
    for rule in rules():
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))


def test_the_example_scrapes_bot_and_workers() -> None:
    """With the token from a file, and under the names that the alerts expect."""
    settings = yaml.safe_load(SCRAPING.read_text())
    bot, worker = settings["scrape_configs"]
    assert settings["rule_files"] == ["alerts.yml"]
    assert bot["authorization"]["credentials_file"].startswith("/")
    assert "authorization" not in worker
    assert [bot["job_name"], worker["job_name"]] == ["metka", "metka-worker"]


def test_the_documents_table_is_what_there_is() -> None:
    """Every family with its type and labels, and no other."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*)\|", DOCUMENT.read_text(), re.MULTILINE)
    listed = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    exported = {}
    for family in families():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels}
        exported[name] = (family.type, labels - {"le"})
    assert listed == exported


def test_the_document_lists_every_outcome() -> None:
    """As they stand in metka_attempts."""
    text = DOCUMENT.read_text()
    assert all(f"`{kind.value}`" in text for kind in Kind)
