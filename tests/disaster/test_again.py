"""What is published again: whatever the bus lacks, wherever in a log it is missing."""

import pytest

from deploy.repair.again import Lacking, lacking

PUBLISHED = [("order.events", 3, 10 + number, number) for number in range(1, 6)]
HERE = ("order.events", 3)


@pytest.mark.parametrize(
    ("on_bus", "found"),
    [
        ({HERE: {1, 2, 3, 4, 5}}, []),
        ({HERE: {1, 2, 3}}, [Lacking(*HERE, 14, 2)]),  # the tail
        ({}, [Lacking(*HERE, 11, 5)]),  # all of it
        ({HERE: {5}}, [Lacking(*HERE, 11, 4)]),  # made anew, and something was said before anybody noticed
        ({HERE: {1, 2, 4, 5}}, [Lacking(*HERE, 13, 1)]),
        ({HERE: {1, 2, 3, 4, 5, 6}}, []),  # the database is older: not to be put right by publishing
        ({("order.events", 4): {1, 2, 3, 4, 5}}, [Lacking(*HERE, 11, 5)]),  # it lies elsewhere
    ],
)
def test_each_number_is_looked_for(on_bus: dict[tuple[str, int], set[int]], found: list[Lacking]) -> None:
    assert lacking(PUBLISHED, on_bus) == found
