"""Every record of what the case file follows reaches its tables as it lies and once, and nothing is said to any."""

from collections.abc import Sequence
from typing import Any

import pytest

from schemas.topics import FOLLOWED
from services.casefile.domain import DECIDER
from shared.kernel.policies import Policies
from shared.kernel.ports import Followed, Input, Record, StoredEvent, Unstorable
from shared.runtime.memory import World

GARBAGE: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]] = [
    (b"o1", b"{}", [("ce_id", b"1"), ("ce_type", b"order.placed.v1")]),
    (b"o1", b"{}", [("ce_id", b"1"), ("ce_type", b"order.placed.v1")]),
    (None, None, []),
    (b"\xff" * 300, b"\xff", [("ce_id", None), ("ce_id", b"\xff")]),
]


class Kept:
    """A projection; `refuses`: the database takes no commit that has a record with this value."""

    def __init__(self, refuses: bytes = b"none of it") -> None:
        self.records: list[Record] = []
        self.refuses = refuses

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        found = [one.payload.record for _, one in inputs if isinstance(one.payload, Followed)]
        if any(one.value == self.refuses for one in found):
            raise Unstorable("it is not taken")
        self.records += found


@pytest.mark.parametrize("topic", sorted(FOLLOWED))
async def test_whatever_lies_there_is_kept_as_it_lies_and_once(topic: str) -> None:
    world, kept = World(Policies({})), Kept()
    await world.add(DECIDER, [kept])
    for key, value, headers in GARBAGE:
        world.bus.append(topic, key, value, headers, partition=1)
    await world.settle()
    await world.settle()
    assert [(one.key, one.value, list(one.headers)) for one in kept.records] == GARBAGE
    assert sum(map(len, world.bus.logs.values())) == len(GARBAGE), "nobody is answered"


async def test_what_cannot_be_kept_waits_alone() -> None:
    world, kept = World(Policies({})), Kept(refuses=b"no")
    await world.add(DECIDER, [kept])
    for value in (b"1", b"no", b"2"):
        world.bus.append("order.events", b"o1", value, partition=1)
    await world.settle()
    assert [one.value for one in kept.records] == [b"1", b"2"]
    (letter,) = world.bus.records("casefile.dead-letters")
    assert (letter.key, letter.value) == (b"o1", b"no")
