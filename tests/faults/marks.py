"""Which profile a scenario belongs to, and on which databases it runs."""

from __future__ import annotations

import pytest

#: Only in `make test-faults`.
full = pytest.mark.faults_full
on_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
