"""The fixtures of all tests, from the modules that hold them."""

from __future__ import annotations

from pathlib import Path

pytest_plugins = [
    f"tests.{name}"
    for name in ("database_fixtures", "sandbox_fixtures")
    if Path(__file__).with_name(f"{name}.py").exists()
]
