"""What a broker refuses holds up its own place and, when it becomes too much, its own shard: nothing else, and nothing
else is said twice."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.wire import Actor
from shared.kernel.ports import Place, PlaceRefusal, Record, StoredEvent
from shared.runtime import outbox, shard_loop
from shared.runtime.batch import Unpublished
from shared.runtime.memory import MemorySource
from shared.runtime.partitions import partition_of
from tests.kit.counter_decider import Add
from tests.kit.stored_events import NOON, stored_event
from tests.kit.test_shard_loop import Broker, Process, Shop, add, garbage
from tests.support.waiting import until_true

PARTITIONS = 3
LETTERS = ("order.dead-letters", 0)
ORDERS = {partition_of(f"order-{number}".encode(), PARTITIONS): f"order-{number}" for number in range(40)}
"""One of each partition."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(outbox, "RETRY_SECONDS_MAX", 0.004)
    monkeypatch.setattr(outbox, "PROBLEM_AFTER_SECONDS", 0.02)
    monkeypatch.setattr(shard_loop, "TAKE_WAIT", timedelta(seconds=0.001))


class Fetching(MemorySource):
    """As a real source, it lets others run while it waits."""

    async def take(self, wait: float) -> Sequence[Record]:
        await asyncio.sleep(0.001)
        return await super().take(wait)


class Waves(Broker):
    """Remembers how many events were sent to each place at once."""

    sent: list[tuple[Place, int]]

    async def send(self, events: Sequence[StoredEvent]) -> Mapping[Place, PlaceRefusal]:
        places = [(event.topic or "", event.partition) for event in events]
        self.sent += [(place, places.count(place)) for place in dict.fromkeys(places)]
        return await super().send(events)


@asynccontextmanager
async def publishing(process: Process) -> AsyncIterator[None]:
    task = asyncio.create_task(process.loop.outbox.keep_publishing())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def shop_with_a_refused_letter() -> tuple[Shop, Process]:
    """Shard 0 has a letter that cannot be sent, then an answer; the others have an answer each."""
    shop = Shop(PARTITIONS)
    shop.bus.bytes_max[LETTERS] = 0
    process = await shop.process()
    garbage(shop, ORDERS[0])
    for partition in range(PARTITIONS):
        shop.send(add(1, ORDERS[partition]), "c1")
    await process.work()
    return shop, process


async def test_what_one_place_refuses_is_all_that_waits() -> None:
    shop, process = await shop_with_a_refused_letter()
    async with publishing(process):
        await until_true(lambda: len(shop.published()) == PARTITIONS)
        await until_true(lambda: process.loop.problems.told() != [])
        [told] = process.loop.problems.told()
        assert told["place"] == "publishing order.dead-letters/0"
        assert "MessageSizeTooLargeError" in told["problem"]
        for partition in range(PARTITIONS):
            shop.send(add(2, ORDERS[partition]), "c2")
        await process.work()
        await until_true(lambda: len(shop.published()) == 2 * PARTITIONS)
        assert [process.loop.shards[number].claim.published for number in range(PARTITIONS)] == [0, 2, 2]

        shop.bus.bytes_max.clear()
        await until_true(lambda: len(shop.published("order.dead-letters")) == 1)
        await until_true(lambda: process.loop.problems.told() == [])
    assert len(shop.published()) == 2 * PARTITIONS, "each once"
    assert [process.loop.shards[number].claim.published for number in range(PARTITIONS)] == [3, 2, 2]
    assert process.loop.outbox.oldest_unpublished_at() is None


async def test_the_next_owner_repeats_no_more_than_what_was_said_after_the_refused() -> None:
    shop, process = await shop_with_a_refused_letter()
    async with publishing(process):
        await until_true(lambda: len(shop.published()) == PARTITIONS)
    await process.loop.outbox.note_published()
    shop.bus.bytes_max.clear()
    owner = await shop.process()
    await owner.publish()
    keys = [record.key for record in shop.published()]
    assert sorted(keys.count(order.encode()) for order in ORDERS.values()) == [1, 1, 2]
    assert keys.count(ORDERS[0].encode()) == 2, "behind the letter, so nobody knows any more that it is there"
    assert len(shop.published("order.dead-letters")) == 1


async def test_what_an_owner_inherits_goes_out_though_nothing_new_comes() -> None:
    shop, _ = await shop_with_a_refused_letter()
    shop.bus.bytes_max.clear()
    owner = await shop.process()
    async with publishing(owner):
        await until_true(lambda: len(shop.published()) == PARTITIONS)
    assert len(shop.published("order.dead-letters")) == 1


async def test_a_refusal_is_tried_again_more_and_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    shop, process = await shop_with_a_refused_letter()
    await process.publish()

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 6:
            shop.bus.bytes_max.clear()

    monkeypatch.setattr(asyncio, "sleep", nap)
    await process.loop.outbox._try(LETTERS)
    assert naps[:6] == [0.001, 0.002, 0.004, 0.004, 0.004, 0.004]
    assert len(shop.published("order.dead-letters")) == 1


async def test_a_broker_that_goes_away_while_a_place_recovers_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by a random history in which time passed no more: what has just gone well is tried on without a pause."""
    naps: list[float] = []
    shop, process = await shop_with_a_refused_letter()
    garbage(shop, ORDERS[0])
    await process.work()
    await process.publish()
    shop.bus.bytes_max.clear()

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        process.broker.away = len(naps) in (2, 3, 4)

    monkeypatch.setattr(asyncio, "sleep", nap)
    await process.loop.outbox._try(LETTERS)
    assert naps[:5] == [0.001, 0, 0.001, 0.001, 0.001]
    assert len(shop.published("order.dead-letters")) == 2


async def test_where_only_so_much_at_once_is_too_much_it_goes_out_in_pieces() -> None:
    """A broker refuses a batch that is too large whole, though each record of it would be taken."""

    class Narrow(Waves):
        async def send(self, events: Sequence[StoredEvent]) -> Mapping[Place, PlaceRefusal]:
            if len(events) > 5:
                return {("order.events", 0): PlaceRefusal(0, "MessageSizeTooLargeError")}
            return await super().send(events)

    shop = Shop()
    process = await shop.process()
    process.loop.outbox.publisher = broker = Narrow(shop.bus, "order")
    broker.sent = []
    for number in range(40):
        shop.send(add(), f"c{number}")
    await process.work()
    async with publishing(process):
        await until_true(lambda: len(shop.published()) == 40)
    assert shop.sequences() == list(range(1, 41))
    assert {count for _, count in broker.sent} <= set(range(1, 6))
    assert len(broker.sent) < 40
    assert process.loop.problems.told() == []


async def test_of_whom_too_much_waits_nothing_more_is_taken_and_of_others_all_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "UNPUBLISHED_MAX", 10)
    shop, process = await shop_with_a_refused_letter()
    process.loop.source = Fetching(shop.bus, process.source.topics, "order")
    process.loop.drop(range(PARTITIONS))
    await process.claim()
    loop = asyncio.create_task(process.loop.run())
    async with publishing(process):
        for number in range(40):
            for order_id in ORDERS.values():
                shop.send(add(1, order_id), f"d{number}")
            await asyncio.sleep(0.002)

        def answered(order_id: str) -> int:
            return sum(record.key == order_id.encode() for record in shop.published())

        await until_true(lambda: answered(ORDERS[1]) == answered(ORDERS[2]) == 41)
        assert process.loop.shards[0].held
        assert answered(ORDERS[0]) < 30
        waits = process.loop.shards[0].claim.position - process.loop.shards[0].claim.published
        shop.bus.bytes_max.clear()
        await until_true(lambda: answered(ORDERS[0]) == 41)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert waits <= 10 + 40
    assert sorted(shop.sequences() + shop.sequences("order.dead-letters", "x-dead-letter-sequence")) == sorted(
        [*range(1, 43), *range(1, 42), *range(1, 42)]
    )
    assert [shop.total(order_id) for order_id in ORDERS.values()] == [41] * PARTITIONS


async def test_a_place_that_nothing_waits_for_any_more_is_no_problem() -> None:
    _, process = await shop_with_a_refused_letter()
    async with publishing(process):
        await until_true(lambda: process.loop.problems.told() != [])
        process.loop.drop([0])
        await until_true(lambda: process.loop.problems.told() == [])
        assert process.loop.outbox.refusing == set()


def waiting_for(*places: Place) -> Unpublished:
    """Events of shard 0, one for each of these, in this order."""
    waiting = Unpublished()
    message = Add(order_id="order-1", actor=Actor(role="buyer", id="b1"), amount=1)
    for position, (topic, partition) in enumerate(places, 1):
        event = stored_event(message, position=position, topic=topic)
        waiting.add(replace(event, partition=partition), NOON)
    return waiting


def positions(waiting: Unpublished, place: Place) -> list[int]:
    return [event.position for event in waiting.first(place, 9)]


def test_nothing_counts_as_published_behind_which_the_oldest_still_waits() -> None:
    """Whoever takes over begins there: what is before it is never sent again."""
    first, second = ("order.events", 0), ("timer.commands", 0)
    waiting = waiting_for(first, second, second)
    assert waiting.begins == 1
    waiting.acknowledged(second, 1)
    assert waiting.begins == 1
    waiting.acknowledged(first, 1)
    assert waiting.begins == 3
    waiting.acknowledged(second, 1)
    assert waiting.begins == 4


BELL, SEAT = ("order.commands", 0), ("mediation.roster", 1)


def test_where_nobody_looks_for_our_numbers_one_goes_out_behind_those_before_it() -> None:
    events, others = ("mediation.events", 0), ("timer.commands", 0)
    waiting = waiting_for(events, SEAT, SEAT, others, SEAT)
    assert waiting.open == [events, others]
    assert positions(waiting, SEAT) == []
    waiting.acknowledged(others, 1)
    assert positions(waiting, SEAT) == []
    waiting.acknowledged(events, 1)
    assert waiting.open == [SEAT]
    assert positions(waiting, SEAT) == [2, 3, 5]


def test_what_was_said_after_it_keeps_none_back_and_no_dead_letter_does() -> None:
    events, letters = ("mediation.events", 0), ("mediation.dead-letters", 0)
    waiting = waiting_for(letters, SEAT, events, SEAT)
    assert waiting.open == [letters, SEAT, events]
    assert positions(waiting, SEAT) == [2]
    assert positions(waiting, letters) == [1]
    waiting.acknowledged(events, 1)
    assert positions(waiting, SEAT) == [2, 4]


def test_elsewhere_no_place_keeps_another_back() -> None:
    places = [("order.events", 0), ("timer.commands", 0), ("order.dead-letters", 0), ("mediation.roster", 0), BELL]
    assert waiting_for(*places).open == places
