"""Copies of the code, and bugs put into them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mutants.checks import importing
from tests.mutants.mutant import Mutant
from tests.mutants.places import ROOT

NOT_CODE = shutil.ignore_patterns(".git", ".venv", ".recourse", ".*_cache", ".hypothesis", "__pycache__")


def copied(to: Path) -> Path:
    """All that is ours, in a new folder."""
    shutil.copytree(ROOT, to, ignore=NOT_CODE)
    return to


@contextmanager
def planted(mutant: Mutant, copy: Path) -> Iterator[None]:
    """The bug is in the copy for so long. Raises Rotten, or NoVerdict where nothing can be imported any more."""
    where, broken = mutant.patched(copy)
    file = copy / where
    whole = file.read_text()
    try:
        file.write_text(broken)
        importing(mutant).run(copy)
        yield
    finally:
        file.write_text(whole)
