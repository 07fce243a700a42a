"""What a publisher must do, in memory and on Kafka."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

from deploy.local.stack import Stack
from deploy.setup.broker import answers, connect
from deploy.setup.topics import create_topics
from schemas.topics import BATCH_BYTES_MAX, DEAD_LETTER_BYTES_MAX, Topic
from shared.kernel import codec, envelope
from shared.kernel.ports import Headers, Outage, PlaceRefusal, Publisher, Record, StoredEvent
from shared.runtime.kafka.publisher import KafkaPublisher
from shared.runtime.memory import MemoryBus, MemoryPublisher
from tests.support.topics import reader
from tests.support.waiting import until

PARTITIONS = 3
LARGE = 20_000
TOPICS = ("order.events", "timer.commands", "order.dead-letters")


@dataclass
class Bench:
    publisher: Publisher
    read: Callable[[str, int, int], Awaitable[list[Record]]]
    """(topic, partition, how many) -> all that lies there: exactly so many."""
    limit: Callable[[str, int], Awaitable[None]]
    """(topic, bytes) -> from now on it takes no records that are larger; the last partition is written to."""


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

        async def limit(topic: str, most: int) -> None:
            changed = ConfigEntry("max.message.bytes", str(most), incremental_operation=AlterConfigOpType.SET)
            resource = ConfigResource(ConfigResource.Type.TOPIC, prefix + topic, incremental_configs=[changed])
            admin = await connect({"bootstrap.servers": real.bootstrap_servers}, seconds=10)
            await answers(admin.incremental_alter_configs([resource]))
            probe = event(99, partition=PARTITIONS - 1, topic=topic, data=bytes(LARGE))

            async def in_force() -> bool:
                return bool(await publisher.send([probe])) == (most < LARGE)

            await until("the limit is in force", in_force)

        yield Bench(publisher, read, limit)
    await publisher.stop()


def in_memory() -> Bench:
    bus = MemoryBus(PARTITIONS)

    async def read(topic: str, partition: int, number: int) -> list[Record]:
        found = bus.logs[topic, partition]
        assert len(found) == number
        return found

    async def limit(topic: str, most: int) -> None:
        bus.bytes_max |= {(topic, partition): most for partition in range(PARTITIONS)}

    return Bench(MemoryPublisher(bus, "order"), read, limit)


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


async def test_what_one_place_refuses_keeps_nothing_else_back_and_can_be_sent_again(bench: Bench) -> None:
    refusing = ("order.events", 1)
    await bench.limit("order.events", LARGE // 2)
    rows = [event(number, partition=number % 2) for number in range(1, 9)]
    rows += [
        event(9, partition=1, data=bytes(LARGE)),
        event(10),
        event(11, partition=1),
        event(12, topic="timer.commands"),
    ]
    refused = await bench.publisher.send(rows)
    assert refused.keys() == {refusing}
    assert "MessageSizeTooLarge" in refused[refusing].reason
    there = refused[refusing].acknowledged
    assert there <= 4
    assert sequences(await bench.read("order.events", 1, there)) == [1, 3, 5, 7][:there]
    assert sequences(await bench.read("order.events", 0, 5)) == [2, 4, 6, 8, 10]
    assert sequences(await bench.read("timer.commands", 0, 1)) == [12]

    rest = [row for row in rows if row.partition == 1][there:]
    for row in rest[:-2]:
        assert await bench.publisher.send([row]) == {}
    assert (await bench.publisher.send(rest[-2:]))[refusing].acknowledged == 0
    await bench.limit("order.events", 1_000_000)
    assert await bench.publisher.send([*rest[-2:], event(13)]) == {}
    assert sequences(await bench.read("order.events", 1, 6)) == [1, 3, 5, 7, 9, 11]
    assert sequences(await bench.read("order.events", 0, 6)) == [2, 4, 6, 8, 10, 13]


async def test_a_row_as_large_as_events_may_be_arrives(bench: Bench) -> None:
    room = BATCH_BYTES_MAX - codec.size_of(codec.published(event(1), "order")[2])
    await bench.publisher.send([event(1), event(2, data=bytes(room)), event(3)])
    assert sequences(await bench.read("order.events", 0, 3)) == [1, 2, 3]


async def test_the_largest_dead_letter_arrives(bench: Bench) -> None:
    monster = Record("order.commands", 0, 0, 0, bytes(10**6), bytes(10**7), [(f"h{n}", bytes(10**6)) for n in range(3)])
    whole = Record("order.commands", 0, 1, 0, b"k", b"v" * 2_000_000, [("h", b"\x80" * 400_000)])
    letters = []
    for record in (monster, whole):
        key, headers, value = codec.dead_letter(record, envelope.DeadLetter("no_key: none"), "recourse/order/0", 1)
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
    refused = await bench.publisher.send([too_large])
    assert refused == {
        ("order.events", 0): PlaceRefusal(0, "MessageSizeTooLargeError: [Error 10] MessageSizeTooLargeError")
    }
    await bench.publisher.send([event(3)])
    assert sequences(await bench.read("order.events", 0, 2)) == [1, 3]


@kafka
async def test_a_topic_or_partition_that_is_not_there_keeps_nothing_else_back(bench: Bench) -> None:
    gone = [event(2, topic="order.gone"), event(3, partition=PARTITIONS)]
    refused = await bench.publisher.send([event(1), *gone, event(4)])
    assert {place: one.acknowledged for place, one in refused.items()} == {
        ("order.gone", 0): 0,
        ("order.events", PARTITIONS): 0,
    }
    assert refused["order.gone", 0].reason == "there is no such topic"
    assert refused["order.events", PARTITIONS].reason.startswith("UnknownTopicOrPartitionError")
    assert sequences(await bench.read("order.events", 0, 2)) == [1, 4]


@kafka
async def test_an_acknowledgement_says_how_far_the_brokers_clock_is_from_ours(bench: Bench) -> None:
    assert isinstance(bench.publisher, KafkaPublisher)
    assert bench.publisher.skew() is None
    await bench.publisher.send([event(1)])
    skew = bench.publisher.skew()
    assert skew is not None
    assert abs(skew.total_seconds()) < 60, "they are one"


@kafka
async def test_waves_to_different_places_may_be_sent_at_once(bench: Bench) -> None:
    places = [(topic, partition) for topic in TOPICS[:2] for partition in range(PARTITIONS)]
    waves = [[event(number, partition, topic=topic) for number in range(1, 6)] for topic, partition in places]
    assert await asyncio.gather(*(bench.publisher.send(wave) for wave in waves)) == [{}] * len(places)
    for topic, partition in places:
        assert sequences(await bench.read(topic, partition, 5)) == [1, 2, 3, 4, 5]


@pytest.mark.stack
async def test_a_broker_that_is_away_is_an_outage() -> None:
    publisher = KafkaPublisher({"bootstrap_servers": "127.0.0.1:1"}, "order", "")
    with pytest.raises(Outage):
        await publisher.send([event(1)])
    await publisher.stop()
