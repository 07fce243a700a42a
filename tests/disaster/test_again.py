"""What is published again: whatever the bus lacks, wherever in a log it is missing."""

import pytest

from deploy.repair.again import Lacking, cut, in_front_of, lacking
from shared.kernel.ports import Claim, Cursor, Log

PUBLISHED = [("order.events", 3, 10 + number, number) for number in range(1, 6)]
HERE = ("order.events", 3)


@pytest.mark.parametrize(
    ("on_bus", "found"),
    [
        ({HERE: {1, 2, 3, 4, 5}}, []),
        ({HERE: {1, 2, 3}}, [Lacking(*HERE, 14, 4, 2)]),  # the tail
        ({}, [Lacking(*HERE, 11, 1, 5)]),  # all of it
        ({HERE: {5}}, [Lacking(*HERE, 11, 1, 4)]),  # made anew, and something was said before anybody noticed
        ({HERE: {1, 2, 4, 5}}, [Lacking(*HERE, 13, 3, 1)]),
        ({HERE: {1, 2, 3, 4, 5, 6}}, []),  # the database is older: not to be put right by publishing
        ({("order.events", 4): {1, 2, 3, 4, 5}}, [Lacking(*HERE, 11, 1, 5)]),  # it lies elsewhere
    ],
)
def test_each_number_is_looked_for(on_bus: dict[tuple[str, int], set[int]], found: list[Lacking]) -> None:
    assert lacking(PUBLISHED, on_bus) == found


@pytest.mark.parametrize(
    ("topic", "on_bus", "number"),
    [
        ("order.events", {1, 2}, None),  # the tail: what is published again lies behind it
        ("order.events", set(), None),
        ("order.events", {5}, 5),  # who reads it first takes what comes behind it for repeats
        ("order.events", {1, 2, 4, 5}, 5),
        ("mediation.roster", {5}, 5),
        ("order.dead-letters", {5}, None),  # nobody reads numbers there
        ("order.commands", {5}, None),
    ],
)
def test_nothing_can_be_published_in_front_of_what_is_there(topic: str, on_bus: set[int], number: int | None) -> None:
    assert in_front_of(Lacking(topic, 3, 13, 3, 1), {(topic, 3): on_bus}) == number


@pytest.mark.parametrize(
    ("end", "stamp", "is_cut"),
    [
        (9, 500, False),  # what lies there is what was read last
        (9, 400, False),  # a broker's clock may step back
        (9, None, False),  # retention took it, or nobody is handed it
        (5, None, True),  # its tail is lost
        (6, 501, True),  # lost, and written again: repeats that lay there do not lie there any more
    ],
)
def test_a_log_that_was_cut_and_written_again_is_no_longer_what_was_read(
    end: int, stamp: int | None, is_cut: bool
) -> None:
    claim = Claim(3, 1, 0, 0, 0)
    claim.cursors["order.events"] = Cursor(6, 500, "id")
    assert (cut(claim, "order.events", Log("id", 0, end), stamp) is not None) == is_cut
