"""`make mutants`: every bug of the catalogue, one at a time, put into a copy of the code; and who noticed it.

First the copy is checked as it is: were it not green, every bug would pass for caught. A bug that nobody notices, one
that does not fit the code any more, and one whose check falls over instead of failing, make the whole run fail.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import TypeVar

from tests.mutants.catalogue import MUTANTS
from tests.mutants.checks import Check, NoVerdict, checks, only_the_simulation, unbroken
from tests.mutants.copies import copied, planted
from tests.mutants.mutant import Mutant, Rotten
from tests.mutants.places import ROOT

Ask = Callable[[Mutant, Path], Iterator[Check]]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Outcome:
    mutant: Mutant
    caught_by: str | None
    problem: str | None
    """Why there is no verdict."""
    seconds: float


class Workers:
    """So many copies of the code, each used by one at a time."""

    def __init__(self, copies: Iterable[Path]) -> None:
        self._free: SimpleQueue[Path] = SimpleQueue()
        for copy in copies:
            self._free.put(copy)
        self._pool = ThreadPoolExecutor(self._free.qsize())

    def each(self, work: Callable[[T, Path], R], all_: Iterable[T]) -> Iterator[R]:
        """In order, as soon as it is there."""

        def one(what: T) -> R:
            copy = self._free.get()
            try:
                return work(what, copy)
            finally:
                self._free.put(copy)

        return self._pool.map(one, all_)

    def stop(self) -> None:
        self._pool.shutdown(cancel_futures=True)


@contextmanager
def copies(number: int) -> Iterator[Workers]:
    with tempfile.TemporaryDirectory(prefix="recourse-mutants-") as folder:
        workers = Workers([copied(Path(folder) / str(one)) for one in range(number)])
        try:
            yield workers
        finally:
            workers.stop()


def as_it_is(check: Check, copy: Path) -> str | None:
    try:
        return check.run(copy)
    except NoVerdict as error:
        return str(error)


def look(mutant: Mutant, copy: Path, ask: Ask) -> Outcome:
    """Puts the bug into the copy and asks until somebody notices."""
    began = monotonic()
    caught_by = problem = None
    try:
        with planted(mutant, copy):
            caught_by = next(filter(None, (check.run(copy) for check in ask(mutant, copy))), None)
    except (Rotten, NoVerdict) as error:
        problem = str(error)
    return Outcome(mutant, caught_by, problem, monotonic() - began)


def simulated(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Those in the code that the simulation runs at all; asked of a process that has loaded nothing else."""
    ask = "import sys, tests.simulation.history; print(*(getattr(one, '__file__', 0) for one in sys.modules.values()))"
    loaded = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [one for one in mutants if str(ROOT / one.file) in loaded.split()]


def run(mutants: Sequence[Mutant], number: int, ask: Ask) -> bool:
    """Prints who caught which; whether each was caught."""
    began = monotonic()
    name_width, file_width = (
        max(map(len, column)) for column in zip(*((m.name, m.file) for m in mutants), strict=True)
    )
    with copies(number) as workers:
        print(f"{len(mutants)} mutants, {number} at a time; first the same checks on the code as it is …", flush=True)
        if red := [found for found in workers.each(as_it_is, unbroken(mutants, ROOT)) if found]:
            print("The code as it is fails already, so no bug would be noticed:", *red, sep="\n")
            return False
        print(f"all green after {monotonic() - began:.0f} s", flush=True)
        outcomes = []
        for outcome in workers.each(partial(look, ask=ask), mutants):
            outcomes.append(outcome)
            told = outcome.caught_by or ("NO VERDICT" if outcome.problem else "NOT CAUGHT")
            mutant = outcome.mutant
            print(
                f"{mutant.name:{name_width}}  {mutant.file:{file_width}}  {outcome.seconds:4.0f} s  {told}", flush=True
            )
    survivors = [one for one in outcomes if one.caught_by is None]
    print(f"{len(outcomes) - len(survivors)} of {len(outcomes)} caught, {(monotonic() - began) / 60:.0f} minutes")
    for one in survivors:
        print(f"not caught: {one.mutant.name} ({one.mutant.file})", *filter(None, [one.problem]), sep="\n")
    return not survivors


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only those in whose name or file one of these occurs")
    parser.add_argument("--simulation", action="store_true", help="ask only the simulation, to see how strong it is")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    chosen = [one for one in MUTANTS if not asked.names or any(n in f"{one.name} {one.file}" for n in asked.names)]
    ask: Ask = checks
    if asked.simulation:
        chosen, ask = simulated(chosen), only_the_simulation
    sys.exit(0 if chosen and run(chosen, asked.workers, ask) else 1)
