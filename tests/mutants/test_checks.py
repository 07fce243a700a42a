"""Who says that a bug is caught, and who does not."""

from pathlib import Path

import pytest

from tests.mutants import checks
from tests.mutants.checks import Check, NoVerdict, verdict
from tests.mutants.seeds import FOUND


@pytest.mark.parametrize(
    ("status", "said", "who"),
    [
        (0, "3 passed", None),
        (1, "FAILED tests/kit/test_a.py::test_b[x - y] - assert 1 == 2", "kit/test_a.py::test_b[x - y]"),
        (1, "FAILED tests/kit/test_a.py::test_b", "kit/test_a.py::test_b"),
        (
            1,
            "FAILED tests/kit/test_a.py::test_b - Failed: Timeout (>60.0s) from pytest-timeout.",
            "kit/test_a.py::test_b (by a hang)",
        ),
        (FOUND, "simulation, seed 7: nothing_leaves_twice\n", "simulation, seed 7: nothing_leaves_twice"),
    ],
)
def test_what_noticed_a_bug_is_named(status: int, said: str, who: str | None) -> None:
    assert verdict("some tests", status, said) == who


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (1, "ERROR tests/kit/test_a.py::test_b - its fixture fell over"),
        (1, "Traceback (most recent call last): the simulation could not be imported"),
        (2, "ERROR tests/kit/test_a.py - ImportError\n!!! Interrupted: 1 error during collection !!!"),
        (4, "ERROR: file or directory not found"),
        (5, "no tests ran"),
        (FOUND, "something else"),
        (-9, "killed"),
    ],
)
def test_a_check_that_falls_over_has_noticed_nothing(status: int, said: str) -> None:
    with pytest.raises(NoVerdict):
        verdict("some tests", status, said)


def test_a_check_without_an_end_has_noticed_something_and_says_how(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checks, "PATIENCE_SECONDS", 0.1)
    who = Check("some tests", ("-c", "import time; time.sleep(600)")).run(tmp_path)
    assert who is not None
    assert who.startswith("some tests: no end after ")
