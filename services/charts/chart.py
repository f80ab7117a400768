import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class ChartSeries:
    label: str
    posts: list[int]


@dataclass(frozen=True, slots=True)
class ChartBar:
    label: str
    posts: int
    #: How the number of posts has changed: "▲ 3", "▼ 1", "=".
    trend: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All texts are in the person's language. `days`: labels of the days; `series`: one for each status."""

    title: str
    days: list[str]
    series: list[ChartSeries]
    tags_title: str
    tags: list[ChartBar]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Chart":
        data = json.loads(text)
        series = [ChartSeries(**each) for each in data.pop("series")]
        return cls(**{**data, "series": series, "tags": [ChartBar(**each) for each in data["tags"]]})
