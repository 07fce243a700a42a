"""The catalogue does not rot: every bug still fits the code. That each is caught, `make mutants` shows."""

import ast
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from tests.mutants import places
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.places import ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_fits_the_code_and_changes_its_place_alone(mutant: Mutant) -> None:
    file, broken = mutant.patched(ROOT)
    whole = (ROOT / file).read_text()
    assert broken != whole
    if not isinstance(mutant.at, str):
        before, after = Counter(_definitions(ast.parse(whole).body)), Counter(_definitions(ast.parse(broken).body))
        (changed,) = before - after
        assert len(after - before) <= 1
        assert changed[0].startswith(".".join(places.names_of(mutant.at)))
    assert all((ROOT / test.partition("::")[0]).exists() for test in mutant.ask), "it asks tests that there are not"


def _definitions(statements: Sequence[ast.stmt], of: str = "") -> Iterator[tuple[str, str]]:
    """Name and content of every function, method and constant."""
    for one in statements:
        name = of + (places.defines(one) or "")
        if isinstance(one, ast.ClassDef):
            yield from _definitions(one.body, f"{name}.")
        else:
            yield name, ast.dump(one)


def test_every_mutant_has_a_name_of_its_own() -> None:
    assert [name for name, times in Counter(mutant.name for mutant in MUTANTS).items() if times > 1] == []
