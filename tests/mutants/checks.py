"""Who is asked whether a copy of the code is broken, in which order, and what the answer means."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.mutants.mutant import Mutant
from tests.mutants.seeds import FOUND

SEEDS = 400
PATIENCE_SECONDS = 900.0
"""For one check, some of which takes a minute on a quiet machine. A test that hangs is ended by pytest long before."""
PURE = ("tests/domain", "tests/kit", "tests/contract", "tests/flows", "tests/faults/test_poison.py")
LEFT_OUT = ("-k", "not official_parser")  # ten seconds about the published document, nothing about behaviour
PLUGINS = ("-p", "no:cacheprovider", "-p", "tests.mutants.drawing")
QUICK = ("-m", "not stack", "--timeout=60")
"""Without servers; the slowest of these tests takes four seconds, so after a minute one hangs."""
NEAREST: dict[str, tuple[str, ...]] = {
    "shared/runtime/shard_loop.py": (
        "tests/kit/test_shard_loop.py",
        "tests/kit/test_worlds.py",
        "tests/kit/test_parking.py",
    ),
    "shared/runtime/batch.py": ("tests/kit/test_outbox.py", "tests/kit/test_shard_loop.py"),
    "shared/runtime/worlds.py": ("tests/kit/test_worlds.py",),
    "shared/runtime/outbox.py": ("tests/kit/test_outbox.py", "tests/kit/test_shard_loop.py"),
    "shared/runtime/intake.py": (
        "tests/kit/test_shard_loop.py",
        "tests/kit/test_parking.py",
        "tests/kit/test_people.py",
    ),
    "shared/runtime/clocks.py": ("tests/kit/test_clocks.py",),
    "shared/runtime/parking.py": ("tests/kit/test_parking.py",),
    "shared/kernel/codec.py": ("tests/kit/test_codec.py",),
    "shared/kernel/envelope.py": ("tests/kit/test_codec.py",),
    "shared/kernel": ("tests/kit/test_decider.py", "tests/kit/test_limits.py", "tests/kit/test_parking.py"),
    "shared/rules/evidence.py": ("tests/domain/test_rules_evidence.py", "tests/domain/test_dispute_opening.py"),
    "shared/runtime/memory.py": ("tests/contract/test_store.py", "tests/contract/test_source.py"),
    "shared/runtime/logs.py": ("tests/kit/test_hushed_logs.py",),
    "shared/runtime": ("tests/kit/test_shard_loop.py",),
    "shared": ("tests/domain/test_policies.py",),
    "services/order/pieces.py": ("tests/domain/test_pieces*.py",),
    "services/order/shipping.py": ("tests/domain/test_parcels*.py",),
    "services/order": ("tests/domain/test_order*.py",),
    "services/dispute": ("tests/domain/test_dispute*.py",),
    "services/mediation": ("tests/domain/test_mediation*.py",),
    "services/refund": ("tests/domain/test_refund*.py",),
    "services/notification": (
        "tests/domain/test_notification*.py",
        "tests/contract/test_deliveries.py",
        "tests/kit/test_mail.py",
        "tests/kit/test_webhooks.py",
    ),
    "services/timer": ("tests/kit/test_timers.py", "tests/contract/test_timer_table.py"),
    "schemas": ("tests/domain/test_visibility.py", "tests/contract/test_contract.py", "tests/kit/test_codec.py"),
}
"""The tests that most probably notice, by how the file's path begins: the first that fits."""

_FAILED = re.compile(r"^FAILED (?:tests/)?(\S+?::\w+(?:\[.*?\])?)(?: - (.*))?$", re.MULTILINE)


class NoVerdict(Exception):
    """The check itself went wrong: nothing was collected, a fixture fell over, a module cannot be imported."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    arguments: tuple[str, ...]

    def run(self, root: Path) -> str | None:
        """Who noticed that something is wrong; None if all is well. Raises NoVerdict."""
        began = monotonic()
        with subprocess.Popen(
            [sys.executable, *self.arguments],
            cwd=root,
            # No bytecode: a file that is patched and mended within a second would pass for unchanged.
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                said, _ = process.communicate(timeout=PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                return f"{self.name}: no end after {monotonic() - began:.0f} s"
        return verdict(self.name, process.returncode, said)


def verdict(name: str, status: int, said: str) -> str | None:
    """Only a test that failed, or a history that went wrong, has noticed anything. Raises NoVerdict."""
    if status == 0:
        return None
    if status == FOUND and said.startswith("simulation, "):
        return said.splitlines()[0]
    if status == 1 and (failed := _FAILED.search(said)):
        return failed[1] + (" (by a hang)" if "Timeout (" in (failed[2] or "") else "")
    raise NoVerdict(f"{name} ended with {status}:\n{said[-3000:]}")


def importing(mutant: Mutant) -> Check:
    """Says nothing about the bug; only that the patched module is one. What is no Python always is."""
    module = mutant.file.removesuffix(".py").replace("/", ".")
    return Check("importing it", ("-c", f"import {module}" if mutant.file.endswith(".py") else ""))


def pytest(name: str, where: Sequence[str], root: Path, *more: str) -> Check:
    """`where`: folders, files, ids, or patterns of files."""
    found = [
        named
        for one in where
        for named in ([one] if "::" in one else sorted(str(path.relative_to(root)) for path in root.glob(one)))
    ]
    return Check(name, ("-m", "pytest", "-x", "-q", *PLUGINS, *more, *found))


def checks(mutant: Mutant, root: Path) -> Iterator[Check]:
    """The quickest first."""
    if mutant.ask:
        yield pytest("the tests named", mutant.ask, root)
    nearest = next((where for begins, where in NEAREST.items() if mutant.file.startswith(begins)), ())
    if nearest:
        yield pytest("the nearest tests", nearest, root, *QUICK)
    yield pytest("all quick tests", PURE, root, *QUICK, *LEFT_OUT)
    yield simulation()


def only_the_simulation(mutant: Mutant, root: Path) -> Iterator[Check]:
    """To see how strong it is alone."""
    yield simulation()


def simulation(first: int = 0, histories: int = SEEDS) -> Check:
    return Check("the simulation", ("-m", "tests.mutants.seeds", str(first), str(histories)))


def unbroken(mutants: Sequence[Mutant], root: Path) -> Iterator[Check]:
    """All that any of them is asked: while it fails on the code as it is, it says nothing about a bug."""
    yield pytest("all quick tests", PURE, root, *QUICK, *LEFT_OUT)
    yield simulation()
    if asked := sorted({one for mutant in mutants for one in mutant.ask}):
        yield pytest("the tests named", asked, root)
