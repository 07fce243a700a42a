"""A fixed set of histories, as part of every test run; and that the simulation would say so if anything were wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tests.simulation.__main__ as command
from services.order import disputing
from tests.mutants.catalogue import MUTANTS
from tests.mutants.checks import simulation
from tests.mutants.copies import copied, planted
from tests.simulation.coverage import Visited
from tests.simulation.history import judge, shrink, tell
from tests.simulation.plan import KINDS, draw

AT_ONCE = 30
ENOUGH = 100
"""Histories in which a planted bug must be found: from the first at which the search is known to be short."""


@pytest.mark.parametrize("first", range(0, 4 * AT_ONCE, AT_ONCE))
def test_whatever_goes_wrong_nothing_is_lost_doubled_or_stranded(first: int) -> None:
    visited = Visited()
    for seed in range(first, first + AT_ONCE):
        judged = judge(draw(seed), visited)
        assert not judged.wrong, tell(shrink(judged))
    assert len(visited.struck) > len(KINDS) // 2, "hardly anything went wrong"


def test_as_many_histories_are_searched_as_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "CHUNK", 2)
    chunks = command.search_everywhere(first=0, histories=5, seconds=None, cores=1)
    assert [(chunk.first, chunk.histories) for chunk in chunks] == [(0, 2), (2, 2), (4, 1)]


def test_the_same_seed_is_the_same_history_in_every_process() -> None:
    def told(hash_seed: str) -> str:
        replay = [sys.executable, "-m", "tests.simulation", "--seed", "7"]
        return subprocess.run(
            replay, env=os.environ | {"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
        ).stdout

    first, second = told("1"), told("2")
    assert first == second
    assert first.splitlines()[-1].startswith("hash ")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("mutants") / "copy")


@pytest.mark.parametrize(
    ("bug", "first"),
    [
        ("events are published before they are committed", 0),
        ("what a dead process committed and did not publish stays unsaid", 2),
        ("the chargeback is forgotten", 100),
        ("what follows a parked record is lost", 23),
        ("a payment that was not answered is asked for again instead of being asked about", 2),
        ("what was published twice is heard twice", 3),
        ("a payment is tried again under a new key", 7),
        ("only a bell brings deadlines about", 19),
        ("the alarm is moved later and never earlier", 2),
        ("a database that is older than the bus is served", 48),
        ("rows that were put back are looked at by nobody who has nothing to do", 48),
        ("what the bus lost of a shard is not missed", 68),
        ("a cursor behind the end of its log is believed", 0),
        ("a topic of ours that was made anew is taken for the one it was", 3),
        ("no thanks is shown to the seller", 49),  # rare: who gets so far in mediation?
    ],
)
def test_a_planted_bug_is_found(copy: Path, bug: str, first: int) -> None:
    with planted(next(mutant for mutant in MUTANTS if mutant.name == bug), copy):
        assert simulation(first, ENOUGH).run(copy)


def test_a_failing_history_is_made_small_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = disputing.closed  # a release is forgotten
    monkeypatch.setattr(disputing, "closed", lambda order, end: [] if end.final else closed(order, end))
    failing = next(judged for seed in range(ENOUGH) if (judged := judge(draw(seed))).wrong)

    small = shrink(failing)

    acts = [turn for turn in small.plan.turns if turn.order >= 0]
    assert len(acts) + len(small.plan.faults) < len(failing.plan.turns)
    story = tell(small)
    assert small.kind == failing.kind
    assert small.wrong[0] in story
    assert "dispute.open" in story
    assert f"make simulate SEED={failing.plan.seed}" in story
