"""The outcome of a migration, as numbers and as lines to print."""

from dataclasses import dataclass
from pathlib import Path

from storage.migration.inspection import State


@dataclass(frozen=True)
class MigrationReport:
    state: State
    to_revision: str
    statuses: dict[str, int]
    with_tags_success: int
    changed: bool = False
    backup: Path | None = None
    columns_added: tuple[str, ...] = ()


FOUND = {
    "absent": "Found: an empty database; created its tables.",
    "parser": "Found: the parser's database, without columns for tagging.",
    "parser_with_columns": "Found: the parser's database, with its own columns for tagging.",
    "ours": "Found: an earlier version of this database.",
}


def describe(report: MigrationReport) -> list[str]:
    if report.changed:
        lines = [FOUND[report.state]]
        if report.backup:
            lines.append(f"Backup: {report.backup}")
        if report.columns_added:
            lines.append(f"Columns added to posts: {', '.join(report.columns_added)}")
        lines.append(f"Migrated to revision {report.to_revision}.")
    else:
        lines = [f"Nothing to do: the database is at revision {report.to_revision}."]
    return lines + _describe_statuses(report)


def _describe_statuses(report: MigrationReport) -> list[str]:
    words = {
        "pending": "with text and without tags: pending",
        "retrying": "to be tried again: retrying",
        "failed": "whose attempts are used up: failed",
        "skipped": "without text: skipped" if report.changed else "without text, or skipped by a person: skipped",
    }
    lines = [f"{_posts(report.with_tags_success)} with tags: success"]
    others = report.statuses.get("success", 0) - report.with_tags_success
    if others:
        lines.append(f"{_posts(others)} without tags: success")
    for status, meaning in words.items():
        count = report.statuses.get(status, 0)
        if count or status in {"pending", "skipped"}:
            lines.append(f"{_posts(count)} {meaning}")
    return lines


def _posts(count: int) -> str:
    return f"{count} post" if count == 1 else f"{count} posts"
