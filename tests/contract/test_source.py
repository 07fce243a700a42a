"""What a source must do, in memory and on Kafka through FastStream."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from faststream.kafka import KafkaBroker

from deploy.local.stack import Stack
from deploy.setup.topics import create_topics
from schemas.topics import Topic
from shared.kernel.ports import Record, Source
from shared.runtime.kafka import source as source_module
from shared.runtime.kafka.source import KafkaSource
from shared.runtime.memory import MemoryBus, MemorySource
from shared.runtime.progress import Reach
from tests.support.topics import producer as outsider
from tests.support.waiting import until

PARTITIONS = 3
TOPICS = ("dispute.events", "order.commands")
QUIET_SECONDS = 0.3
Headers = Sequence[tuple[str, bytes | None]]


@dataclass
class Bench:
    source: Source
    append: Callable[[str, int, bytes | None, bytes | None, Headers], Awaitable[None]]

    async def write(self, topic: str, partition: int, *values: int) -> None:
        for value in values:
            await self.append(topic, partition, b"key", str(value).encode(), ())

    async def read(self, number: int) -> list[Record]:
        """The next so many; more is an error."""
        found: list[Record] = []
        async with asyncio.timeout(10):
            while len(found) < number:
                found += await self.source.take(QUIET_SECONDS)
        assert len(found) == number
        return found

    async def quiet(self) -> bool:
        until = monotonic() + QUIET_SECONDS
        while monotonic() < until:
            if await self.source.take(0.05):
                return False
            await asyncio.sleep(0.02)
        return True


@pytest.fixture
async def bench(real: Stack | None) -> AsyncIterator[Bench]:
    if real is None:
        bus = MemoryBus(PARTITIONS)

        async def put(topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers) -> None:
            bus.append(topic, key, value, headers, partition)

        yield Bench(MemorySource(bus, TOPICS, "order"), put)
        return

    prefix = f"source-{uuid4().hex[:8]}."
    config = {"message.timestamp.type": "LogAppendTime"}
    await create_topics(real.bootstrap_servers, [Topic(prefix + name, PARTITIONS, config) for name in TOPICS])
    servers = {"bootstrap_servers": real.bootstrap_servers}
    broker = KafkaBroker(real.bootstrap_servers, apply_types=False, logger=None)
    source = KafkaSource(broker, servers, "order", TOPICS, PARTITIONS, prefix, batch_max=500)

    async def receive(batch: Any) -> None:
        await source.receive(batch)

    source.subscriber(receive)
    async with outsider(real.bootstrap_servers) as to:

        async def produce(topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers) -> None:
            batch = to.create_batch()
            batch.append(timestamp=1, key=key, value=value, headers=list(headers))
            await (await to.send_batch(batch, prefix + topic, partition=partition))

        await broker.start()
        source.pause_all()
        yield Bench(source, produce)
        source.stop_receiving()
        await broker.stop()


def values(records: Sequence[Record], topic: str = "order.commands", partition: int = 0) -> list[int]:
    return [int(r.value or b"0") for r in records if (r.topic, r.partition) == (topic, partition)]


async def test_nothing_comes_of_a_shard_that_is_not_ours(bench: Bench) -> None:
    await bench.write("order.commands", 0, 1, 2)
    await bench.write("order.commands", 1, 3)
    assert await bench.quiet()
    bench.source.resume(1, {})
    assert values(await bench.read(1), partition=1) == [3]
    assert await bench.quiet()


async def test_all_topics_of_a_shard_come_from_the_offsets_given_or_from_their_beginning(bench: Bench) -> None:
    await bench.write("order.commands", 0, 1, 2, 3)
    await bench.write("dispute.events", 0, 4, 5)
    bench.source.resume(0, {"order.commands": 2})
    records = await bench.read(3)
    assert values(records) == [3]
    assert values(records, "dispute.events") == [4, 5]
    assert [record.offset for record in records if record.topic == "order.commands"] == [2]


async def test_records_come_in_order_within_a_topic_and_shard(bench: Bench) -> None:
    bench.source.resume(0, {})
    bench.source.resume(2, {})
    for number in range(30):
        await bench.write(TOPICS[number % 2], 2 * (number % 3 > 0), number)
    records = await bench.read(30)
    for topic in TOPICS:
        for partition in (0, 2):
            found = values(records, topic, partition)
            assert found == sorted(found)
            assert [r.offset for r in records if (r.topic, r.partition) == (topic, partition)] == list(
                range(len(found))
            )


async def test_a_paused_shard_is_silent_and_the_others_go_on(bench: Bench) -> None:
    bench.source.resume(0, {})
    bench.source.resume(1, {})
    await bench.write("order.commands", 0, 1)
    await bench.write("order.commands", 1, 2)
    await bench.read(2)
    bench.source.pause([0])
    await bench.write("order.commands", 0, 3)
    await bench.write("order.commands", 1, 4)
    assert values(await bench.read(1), partition=1) == [4]
    assert await bench.quiet()
    bench.source.resume(0, {"order.commands": 1})
    assert values(await bench.read(1)) == [3]


async def test_one_topic_of_a_shard_may_be_paused(bench: Bench) -> None:
    bench.source.resume(0, {})
    bench.source.pause([0], "order.commands")
    await bench.write("order.commands", 0, 1)
    await bench.write("dispute.events", 0, 2)
    assert values(await bench.read(1), "dispute.events") == [2]
    assert await bench.quiet()
    bench.source.resume(0, {"dispute.events": 1})
    assert values(await bench.read(1)) == [1]


async def test_reading_may_begin_again_further_back(bench: Bench) -> None:
    bench.source.resume(0, {})
    await bench.write("order.commands", 0, 1, 2, 3)
    await bench.read(3)
    bench.source.resume(0, {"order.commands": 1})
    assert values(await bench.read(2)) == [2, 3]
    await bench.write("order.commands", 0, 4)
    assert values(await bench.read(1)) == [4]


async def test_a_record_comes_as_it_lies_there(bench: Bench) -> None:
    headers: Headers = [("ce_id", b"\x80\x00"), ("twice", b"1"), ("twice", b"2"), ("null", None)]
    await bench.append("order.commands", 0, None, None, headers)
    await bench.append("order.commands", 0, b"\xff", b"", ())
    bench.source.resume(0, {})
    first, second = await bench.read(2)
    assert (first.topic, first.partition, first.offset) == ("order.commands", 0, 0)
    assert (first.key, first.value, list(first.headers)) == (None, None, list(headers))
    assert (second.key, second.value, list(second.headers)) == (b"\xff", b"", [])
    assert first.timestamp > 1_700_000_000_000, "the broker's time, whatever the sender says"


async def test_what_lies_there_is_taken_without_waiting(bench: Bench) -> None:
    await bench.write("order.commands", 0, 1)
    bench.source.resume(0, {})
    for _ in range(500):
        await asyncio.sleep(0.01)
        if records := await bench.source.take(0):
            assert values(records) == [1]
            return
    raise AssertionError("never came")


@asynccontextmanager
async def reading(name: str, stack: Stack) -> AsyncIterator[KafkaSource]:
    """The source of a topic with one partition, paused."""
    await create_topics(stack.bootstrap_servers, [Topic(name, 1)])
    servers = {"bootstrap_servers": stack.bootstrap_servers}
    broker = KafkaBroker(stack.bootstrap_servers, apply_types=False, logger=None)
    source = KafkaSource(broker, servers, "order", [name], 1, "", batch_max=500)

    async def receive(batch: Any) -> None:
        await source.receive(batch)

    source.subscriber(receive)
    await broker.start()
    try:
        source.pause_all()
        yield source
    finally:
        source.stop_receiving()
        await broker.stop()


@pytest.mark.parametrize("real", [pytest.param("real", marks=pytest.mark.stack)], indirect=True)
async def test_who_has_nothing_to_read_waits_for_it_and_does_not_look_all_the_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(bench.source, KafkaSource)
    looks, look = 0, bench.source.consumer.getmany

    async def counted(*places: Any, **limits: Any) -> Any:
        nonlocal looks
        looks += 1
        return await look(*places, **limits)

    monkeypatch.setattr(bench.source.consumer, "getmany", counted)
    bench.source.resume(0, {})
    assert await bench.quiet()
    assert looks <= 1
    await bench.write("order.commands", 0, 7)
    assert values(await bench.read(1)) == [7]


@pytest.mark.stack
async def test_a_transaction_s_mark_at_the_end_of_a_log_is_nothing_to_wait_for(stack: Stack) -> None:
    """It has an offset and is handed to nobody: seen from what was handled, the log would never be at its end."""
    name = f"marked-{uuid4().hex[:8]}"
    async with reading(name, stack) as source:
        async with (
            outsider(stack.bootstrap_servers, transactional_id=name) as to,
            to.transaction(),
        ):
            await to.send_and_wait(name, b"1", key=b"key")
        source.resume(0, {})
        assert [record.offset for record in await source.take(10)] == [0]

        async def at_its_end() -> bool:
            return await source.reach([0]) == {(name, 0): Reach(fetched=2, received=1, stable=2, end=2)}

        await until("the mark is passed", at_its_end, within=10)
        assert (await source.reach([0]))[name, 0].readable == 1


@pytest.mark.stack
async def test_what_lies_in_an_open_transaction_is_seen_though_nobody_may_read_it(stack: Stack) -> None:
    name = f"open-{uuid4().hex[:8]}"
    async with reading(name, stack) as source:
        source.resume(0, {})
        async with outsider(stack.bootstrap_servers, transactional_id=name) as to:
            await to.begin_transaction()
            await to.send_and_wait(name, b"1", key=b"key")

            async def is_seen() -> bool:
                return await source.reach([0]) == {(name, 0): Reach(fetched=0, received=0, stable=0, end=1)}

            await until("the high watermark is known", is_seen, within=10)
            await to.abort_transaction()

        async def is_passed() -> bool:
            return await source.reach([0]) == {(name, 0): Reach(fetched=2, received=0, stable=2, end=2)}

        await until("what was taken back is passed", is_passed, within=10)
        assert (await source.reach([0]))[name, 0].readable == 0


@pytest.mark.stack
async def test_the_broker_is_not_asked_again_for_what_he_said_a_moment_ago(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_away(*_: Any) -> None:
        raise TimeoutError

    name = f"known-{uuid4().hex[:8]}"
    async with reading(name, stack) as source:
        source.resume(0, {})
        await source.logs([0])
        monkeypatch.setattr(source.consumer, "end_offsets", is_away)
        assert await source.reach([0], anew=False) == {(name, 0): Reach(fetched=0, received=0, stable=0, end=0)}
        async with outsider(stack.bootstrap_servers) as to:
            await to.send_and_wait(name, b"1", key=b"key")
        assert len(await source.take(10)) == 1
        assert await source.reach([0], anew=False) == {(name, 0): Reach(fetched=1, received=1, stable=0, end=0)}, (
            "nothing looks like an open transaction because it came later"
        )
        with pytest.raises(TimeoutError):
            await source.reach([0])
        monkeypatch.setattr(source_module, "ENDS_KNOWN_SECONDS", -1)
        with pytest.raises(TimeoutError):
            await source.reach([0], anew=False)


@pytest.mark.stack
async def test_what_was_said_in_a_transaction_that_was_aborted_was_never_said(stack: Stack) -> None:
    name = f"aborted-{uuid4().hex[:8]}"
    async with reading(name, stack) as source:
        async with outsider(stack.bootstrap_servers, transactional_id=name) as to:
            for value, kept in ((b"1", True), (b"2", False), (b"3", True)):
                await to.begin_transaction()
                await to.send_and_wait(name, value, key=b"key")
                await (to.commit_transaction() if kept else to.abort_transaction())
        source.resume(0, {})
        said: list[bytes | None] = []
        async with asyncio.timeout(10):
            while b"3" not in said:
                said += [record.value for record in await source.take(QUIET_SECONDS)]
        assert said == [b"1", b"3"]


async def test_batches_come_apart_and_who_comes_alone_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    now, waits = [100.0], list[float]()

    async def sleep(seconds: float) -> None:
        waits.append(round(seconds, 6))
        now[0] += seconds

    class Busy:
        async def getmany(self, **_: Any) -> dict[Any, Any]:
            return {}

    source = KafkaSource(KafkaBroker(), {}, "order", TOPICS, PARTITIONS, "", batch_max=500)
    monkeypatch.setattr(source_module, "monotonic", lambda: now[0])
    monkeypatch.setattr(asyncio, "sleep", sleep)
    for idle in (0, 0, source_module.APART_SECONDS / 5, 60):
        now[0] += idle
        await source.subscriber.get_msg(Busy())

    apart = source_module.APART_SECONDS
    assert waits == [0, apart, apart * 4 / 5, 0]
