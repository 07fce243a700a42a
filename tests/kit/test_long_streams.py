"""Whoever is refused a thousand times, or has a long life, costs the others nothing: counted, not timed."""

import asyncio
import contextlib
import pickle
import re
from collections.abc import Sequence

import pytest

from schemas.wire import Message, Reply
from shared.kernel.ports import REPLIES, StoredEvent
from shared.runtime import loading
from shared.runtime.memory import MemoryStore
from tests.kit.counter_decider import Added, CountRejected, CountRepeated
from tests.kit.test_shard_loop import Process, Shop, add

MANY = 300


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[StoredEvent]:
    """All that was read of streams and answers."""
    rows: list[StoredEvent] = []
    load, answered = MemoryStore.load, MemoryStore.answered

    async def counting_load(
        self: MemoryStore, streams: Sequence[tuple[int, str]]
    ) -> dict[tuple[int, str], list[StoredEvent]]:
        found = await load(self, streams)
        rows.extend(event for events in found.values() for event in events)
        return found

    async def counting_answered(self: MemoryStore, commands: Sequence[tuple[int, bytes, bytes]]) -> list[StoredEvent]:
        found = await answered(self, commands)
        rows.extend(found)
        return found

    monkeypatch.setattr(MemoryStore, "load", counting_load)
    monkeypatch.setattr(MemoryStore, "answered", counting_answered)
    return rows


def kept_of(process: Process, order_id: str) -> int:
    """How much a process keeps in memory of an order, in bytes on a disk."""
    return len(pickle.dumps(process.loop.shards[0].streams[order_id]))


async def test_a_refusal_is_neither_read_nor_kept_with_its_order(read: list[StoredEvent]) -> None:
    shop = Shop()
    process = await shop.process()
    for order_id in ("calm", "flooded"):
        shop.send(add(1, order_id), "c1")
    for number in range(MANY):
        shop.send(add(0, "flooded"), f"refused-{number}")  # one after the other …
        shop.send(add(1 + number, "flooded"), "c1")  # … or all under one id
    await process.settle()
    assert len([row for row in shop.rows() if row.type == CountRejected.type]) == 2 * MANY - 1
    assert kept_of(process, "flooded") - kept_of(process, "calm") < 100

    heir = await shop.process()
    read.clear()
    for order_id in ("calm", "flooded"):
        shop.send(add(2, order_id), "c2")
    shop.send(add(MANY, "flooded"), "c1")
    await heir.settle()
    assert len(read) <= 2 + 2, "the two events of two lives, and what was said under an id that is known"
    assert kept_of(heir, "flooded") - kept_of(heir, "calm") < 100
    assert shop.total("flooded") == 3


async def test_whoever_takes_over_knows_what_was_answered(read: list[StoredEvent]) -> None:
    shop = Shop()
    process = await shop.process()
    for amount, id_ in [(1, "taken"), (0, "refused"), (2, "taken"), (0, "refused")]:
        shop.send(add(amount), id_)
        await process.settle()
    shop.send(add(5), "new")
    before = [(row.type, row.digest) for row in shop.rows()]
    assert [type_ for type_, _ in before] == [Added.type, *[CountRejected.type] * 2, CountRepeated.type]

    heir = await shop.process()
    for amount, id_ in [(1, "taken"), (0, "refused"), (2, "taken"), (9, "refused"), (5, "new")]:
        shop.send(add(amount), id_)
    await heir.settle()
    said = [row.type for row in shop.rows()][len(before) :]
    repeats = [CountRepeated.type] * 3
    assert said == [Added.type, *repeats, CountRejected.type, CountRepeated.type]


async def test_others_have_their_turn_while_a_long_life_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    process = await shop.process()
    for number in range(MANY):
        shop.send(add(1), f"c{number}")
    await process.settle()
    heir = await shop.process()
    monkeypatch.setattr(loading, "FOLDED_AT_ONCE_MAX", 10)
    turns = 0

    async def health() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    asking = asyncio.create_task(health())
    shop.send(add(1), "last")
    await heir.work()
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    assert turns > MANY / 20
    assert shop.total() == MANY + 1


def test_what_is_for_whoever_asked_is_told_by_its_type_alone() -> None:
    for name, model in Message.MODELS.items():
        assert bool(re.search(REPLIES, name)) == issubclass(model, Reply), name
