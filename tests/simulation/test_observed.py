"""What is observed of a world keeps its order though logs begin anew."""

from types import SimpleNamespace
from typing import Any

from shared.kernel.ports import Record
from tests.simulation.observed import Observed


def test_what_lies_in_a_log_that_began_anew_comes_behind_what_lay_there_before() -> None:
    offsets = [0, 1, 2, 0, 1, 1, 5]  # made anew; then it lost its tail; then it has a hole
    heard = [Record("order.events", 0, offset, 1, b"o1", b"{}") for offset in offsets]
    other = Record("order.events", 1, 0, 1, b"o2", b"{}")
    world: Any = SimpleNamespace(bus=SimpleNamespace(partitions=2, heard=[*heard[:4], other, *heard[4:]]))
    observed = Observed(world).records()
    assert [one.offset for one in observed if one.partition == 0] == [0, 1, 2, 3, 4, 5, 9]
    assert [one.offset for one in observed if one.partition == 1] == [0]
