"""The fixtures of all tests, from the modules that hold them, and Hypothesis's profile."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, settings

pytest_plugins = [
    f"tests.{name}"
    for name in ("database_fixtures", "sandbox_fixtures")
    if Path(__file__).with_name(f"{name}.py").exists()
]

# How fast an example runs is the machine's load, not the code's behaviour.
settings.register_profile("metka", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("metka")
