"""What a publisher must do, in memory and on Kafka."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import TopicPartition

from deploy.local.stack import Stack
from deploy.setup.topics import create_topics
from schemas.topics import BATCH_BYTES_MAX, DEAD_LETTER_BYTES_MAX, Topic
from shared.kernel import codec
from shared.kernel.ports import Headers, Outage, Publisher, Record, StoredEvent
from shared.runtime.kafka.publisher import KafkaPublisher
from shared.runtime.memory import MemoryBus, MemoryPublisher
from tests.support.topics import reader

PARTITIONS = 3
TOPICS = ("order.events", "timer.commands", "order.dead-letters")


@dataclass
class Bench:
    publisher: Publisher
    read: Callable[[str, int, int], Awaitable[list[Record]]]
    """(topic, partition, how many) -> all that lies there: exactly so many."""


@pytest.fixture
async def bench(real: Stack | None) -> AsyncIterator[Bench]:
    if real is None:
        yield in_memory()
        return
    prefix = f"publisher-{uuid4().hex[:8]}."
    config = {"message.timestamp.type": "LogAppendTime"}
    wide = config | {"max.message.bytes": str(DEAD_LETTER_BYTES_MAX)}
    topics = [Topic(prefix + name, PARTITIONS, wide if "dead" in name else config) for name in TOPICS]
    await create_topics(real.bootstrap_servers, topics)
    publisher = KafkaPublisher({"bootstrap_servers": real.bootstrap_servers}, "order", prefix)
    async with reader(real.bootstrap_servers, *(topic.name for topic in topics)) as written:

        async def read(topic: str, partition: int, number: int) -> list[Record]:
            place = TopicPartition(prefix + topic, partition)
            assert (await written.ends([place]))[place] == number
            async with asyncio.timeout(10):
                found = [record async for records in written.to_the_end([place]) for record in records]
            return [Record(topic, partition, r.offset, r.timestamp, r.key, r.value, r.headers) for r in found]

        yield Bench(publisher, read)
    await publisher.stop()


def in_memory() -> Bench:
    bus = MemoryBus(PARTITIONS)

    async def read(topic: str, partition: int, number: int) -> list[Record]:
        found = bus.logs[topic, partition]
        assert len(found) == number
        return found

    return Bench(MemoryPublisher(bus, "order"), read)


def event(sequence: int, partition: int = 0, data: bytes | None = b"{}", **other: Any) -> StoredEvent:
    place = (0, sequence, sequence, "order.events", partition, None, "order-1", "some.v1", 0)
    plain = StoredEvent(*place, f"id-{sequence}", "cause", "story", data=data)
    return replace(plain, **other)


def sequences(records: Sequence[Record]) -> list[int]:
    return [int(codec.header(record.headers, "ce_sequence") or 0) for record in records]


async def test_rows_arrive_in_order_in_each_partition_wave_after_wave(bench: Bench) -> None:
    rows = [event(number, partition=number % PARTITIONS, topic=TOPICS[number % 2]) for number in range(1, 121)]
    for begin in range(0, 120, 40):
        await bench.publisher.send(rows[begin : begin + 40])
    for topic in TOPICS[:2]:
        for partition in range(PARTITIONS):
            expected = [one.sequence for one in rows if (one.topic, one.partition) == (topic, partition)]
            assert sequences(await bench.read(topic, partition, len(expected))) == expected


async def test_keys_values_and_headers_arrive_as_they_are(bench: Bench) -> None:
    headers: Headers = [
        ("ce_id", "\N{SNOWMAN}".encode()),
        ("", b""),
        ("x", b"\x80\x00\xff"),
        ("x", b"2"),
        ("n", None),
    ]
    await bench.publisher.send(
        [
            event(1, headers=headers),
            event(2, key=b"mediators", stream_id="order-1"),
            event(3, key=None, stream_id=None, data=None),
            event(4, key=b"", stream_id=None, data=b""),
            event(5, key=b"\xff\x00", stream_id=None, data=b"\xff\x00"),
        ]
    )
    arrived = await bench.read("order.events", 0, 5)
    assert [(record.key, record.value) for record in arrived] == [
        (b"order-1", b"{}"),
        (b"mediators", b"{}"),
        (None, None),
        (b"", b""),
        (b"\xff\x00", b"\xff\x00"),
    ]
    assert list(arrived[0].headers) == headers


async def test_what_no_batch_can_hold_goes_out_in_several_and_stays_in_order(bench: Bench) -> None:
    size = BATCH_BYTES_MAX // 4
    # a small one behind a large one that does not fit would fit itself, and must not overtake
    large = [event(number, data=bytes(size if number % 3 else 10)) for number in range(1, 14)]
    small = [event(number, partition=1) for number in range(14, 27)]
    mixed = [one for pair in zip(large, small, strict=True) for one in pair]
    await bench.publisher.send(mixed)
    assert sequences(await bench.read("order.events", 0, 13)) == list(range(1, 14))
    assert sequences(await bench.read("order.events", 1, 13)) == list(range(14, 27))


async def test_a_row_as_large_as_events_may_be_arrives(bench: Bench) -> None:
    room = BATCH_BYTES_MAX - codec.size_of(codec.published(event(1), "order")[2])
    await bench.publisher.send([event(1), event(2, data=bytes(room)), event(3)])
    assert sequences(await bench.read("order.events", 0, 3)) == [1, 2, 3]


async def test_the_largest_dead_letter_arrives(bench: Bench) -> None:
    monster = Record("order.commands", 0, 0, 0, bytes(10**6), bytes(10**7), [(f"h{n}", bytes(10**6)) for n in range(3)])
    whole = Record("order.commands", 0, 1, 0, b"k", b"v" * 2_000_000, [("h", b"\x80" * 400_000)])
    letters = []
    for record in (monster, whole):
        key, headers, value = codec.dead_letter(record, codec.DeadLetter("no_key: none"), "recourse/order/0", 1)
        letters.append(event(1, topic="order.dead-letters", key=key, stream_id=None, headers=headers, data=value))
    await bench.publisher.send(letters)
    cut, kept = await bench.read("order.dead-letters", 0, 2)
    assert codec.header(cut.headers, "x-dead-letter-cut-from") is not None
    assert (kept.key, kept.value) == (whole.key, whole.value)
    assert kept.headers[0] == whole.headers[0]


async def test_sending_again_repeats(bench: Bench) -> None:
    for _ in range(2):
        await bench.publisher.send([event(1), event(2)])
    assert sequences(await bench.read("order.events", 0, 4)) == [1, 2, 1, 2]


async def test_nothing_to_send_is_nothing_sent(bench: Bench) -> None:
    await bench.publisher.send([])
    assert await bench.read("order.events", 0, 0) == []


# -- what only a real publisher has ------------------------------------------------------------------------------------

kafka = pytest.mark.parametrize("real", [pytest.param("real", marks=pytest.mark.stack)], indirect=True)


@kafka
async def test_after_a_batch_that_was_refused_the_next_ones_arrive(bench: Bench) -> None:
    """An idempotent producer is of no use after a refusal: every later batch of that partition would fail too."""
    too_large = event(2, data=bytes(2 * BATCH_BYTES_MAX))
    await bench.publisher.send([event(1)])
    with pytest.raises(Outage):
        await bench.publisher.send([too_large])
    await bench.publisher.send([event(3)])
    assert sequences(await bench.read("order.events", 0, 2)) == [1, 3]


@kafka
async def test_waves_that_are_sent_at_once_do_not_mix(bench: Bench) -> None:
    waves = [[event(10 * wave + number) for number in range(1, 6)] for wave in range(6)]
    await asyncio.gather(*(bench.publisher.send(wave) for wave in waves))
    assert sequences(await bench.read("order.events", 0, 30)) == [one.sequence for wave in waves for one in wave]


@pytest.mark.stack
async def test_a_broker_that_is_away_is_an_outage() -> None:
    publisher = KafkaPublisher({"bootstrap_servers": "127.0.0.1:1"}, "order", "")
    with pytest.raises(Outage):
        await publisher.send([event(1)])
    await publisher.stop()
