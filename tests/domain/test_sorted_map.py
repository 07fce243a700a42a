"""A map that never changes, compared with one that does."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.rules.sorted_map import SortedMap

KEYS = st.integers(0, 300)
VALUES = st.frozensets(st.sampled_from("abc"))


@settings(max_examples=60)
@given(st.lists(st.one_of(st.tuples(KEYS, VALUES), KEYS), max_size=200))
def test_it_is_what_a_dictionary_would_be_and_leaves_what_it_was(changes: list[Any]) -> None:
    mapped: SortedMap[int, frozenset[str]] = SortedMap(marks=lambda value: value)
    expected: dict[int, frozenset[str]] = {}
    before: list[tuple[SortedMap[int, frozenset[str]], dict[int, frozenset[str]]]] = []
    for change in changes:
        before.append((mapped, dict(expected)))
        if isinstance(change, tuple):
            mapped = mapped.put(*change)
            expected[change[0]] = change[1]
        else:
            mapped = mapped.without(change)
            expected.pop(change, None)
    for one, then in [*before, (mapped, expected)]:
        assert [*one.items()] == sorted(then.items())
        assert len(one) == len(then)
        assert one == then
        for mark in "abcd":
            unmarked = [value for _, value in sorted(then.items()) if mark not in value]
            assert one.first_without(mark) == (unmarked[0] if unmarked else None)


class Counted:
    """A key that counts how often it is compared."""

    compared = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def __lt__(self, other: "Counted") -> bool:
        Counted.compared += 1
        return self.number < other.number

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return isinstance(other, Counted) and self.number == other.number

    def __hash__(self) -> int:
        return hash(self.number)


@pytest.mark.parametrize("order", ["as they come", "backwards", "here and there"])
def test_a_change_among_many_thousands_takes_a_few_dozen_comparisons(order: str) -> None:
    """Four searches: two for the change, two for whether it is there. One among 20,000 takes 15 if nothing is lost."""
    numbers: Sequence[int] = range(20_000) if order == "as they come" else range(20_000)[::-1]
    if order == "here and there":
        numbers = [number * 7_919 % 20_000 for number in range(20_000)]
    mapped: SortedMap[Counted, int] = SortedMap()
    for number in numbers:
        mapped = mapped.put(Counted(number), number)
    Counted.compared = 0

    for number in range(0, 20_000, 100):
        mapped = mapped.without(Counted(number)).put(Counted(number), number)

    assert Counted.compared / 200 < 4 * 25
    assert [key.number for key in mapped] == [*range(20_000)]


def test_what_was_taken_out_leaves_nothing_behind() -> None:
    mapped: SortedMap[int, int] = SortedMap()
    for number in range(1_000):
        mapped = mapped.put(number, number)
    for number in range(1_000):
        mapped = mapped.without(number)
    assert mapped == {}
