"""Which pairs of state and input the tests of tests/domain meet: by construction, where the search has to be lucky.

A pytest plugin, too: with it every desk of tests/domain is watched, and what was met is written down at the end.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.simulation.coverage import Cell, Visited

VARIABLE = "RECOURSE_TEST_CELLS"
_visited = Visited()


def met() -> set[Cell]:
    """Runs them; raises CalledProcessError if one fails."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "cells"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", __name__, "-m", "not stack", "tests/domain"]
        subprocess.run(command, env=os.environ | {VARIABLE: str(written)}, check=True, capture_output=True)
        return {(service, state, input_) for service, state, input_ in json.loads(written.read_text())}


def pytest_configure() -> None:
    from tests.domain.table import Desk

    opened = Desk.__init__

    def watched(desk: Desk, decider: Any, *more: Any, **named: Any) -> None:
        opened(desk, _visited.watch(decider), *more, **named)

    Desk.__init__ = watched  # type: ignore[method-assign, assignment]


def pytest_sessionfinish() -> None:
    Path(os.environ[VARIABLE]).write_text(json.dumps(sorted({cell for cell, _ in _visited.cells})))
