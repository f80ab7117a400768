"""Which profile a scenario belongs to, and on which databases it runs."""

from __future__ import annotations

import pytest

#: Only in `make test-all`.
full = pytest.mark.slow
on_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
#: The other one only in `make test-all`.
sqlite_first = pytest.mark.parametrize("backend", ["sqlite", pytest.param("postgresql", marks=full)], indirect=True)
postgresql_first = pytest.mark.parametrize("backend", ["postgresql", pytest.param("sqlite", marks=full)], indirect=True)
