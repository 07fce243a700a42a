"""The catalogue does not rot: every bug still fits the code. That each is caught, `make mutants` shows."""

from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant, Rotten

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_fits_the_code_and_is_code(mutant: Mutant) -> None:
    assert mutant.patched(ROOT) != (ROOT / mutant.file).read_text()
    assert all((ROOT / test.partition("::")[0]).exists() for test in mutant.ask), "it asks tests that there are not"


def test_every_mutant_has_a_name_of_its_own() -> None:
    assert [name for name, times in Counter(mutant.name for mutant in MUTANTS).items() if times > 1] == []


def test_a_mutant_that_does_not_fit_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("a = 1\nb = 1\n")
    for old, new in (("c", "d"), ("= 1", "= 2"), ("a = 1", "a = (")):
        with pytest.raises(Rotten):
            Mutant("it is rotten", "code.py", old, new).patched(tmp_path)
