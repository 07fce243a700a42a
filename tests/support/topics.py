"""Topics as tests write and read them: Kafka's clients are made here."""

import asyncio
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaProducer, ConsumerRecord

from shared.kernel import codec
from shared.runtime.kafka.reading import LogReader


def producer(bootstrap_servers: str, **options: Any) -> AIOKafkaProducer:
    """`async with producer(bootstrap_servers) as to: await to.send_and_wait(topic, value, key)`, as outsiders do."""
    return AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", **options)


def reader(bootstrap_servers: str, *topics: str) -> LogReader:
    return LogReader({"bootstrap_servers": bootstrap_servers}, topics)


async def read_all(bootstrap_servers: str, topics: Iterable[str]) -> list[ConsumerRecord]:
    """From their beginning to where they end now; in order within each partition."""
    async with reader(bootstrap_servers, *topics) as consumer:
        return [record async for records in consumer.to_the_end() for record in records]


async def first(bootstrap_servers: str, topic: str, count: int, within: float = 30.0) -> list[ConsumerRecord]:
    """The first so many records of a topic, once there are so many. Raises TimeoutError."""
    found: list[ConsumerRecord] = []
    async with asyncio.timeout(within), reader(bootstrap_servers, topic) as consumer:
        async for records in consumer.follow():
            found += records
            if len(found) >= count:
                break
    return found[:count]


async def how_many(bootstrap_servers: str, topics: Iterable[str]) -> int:
    """Records were ever written to them."""
    async with reader(bootstrap_servers, *topics) as consumer:
        return sum((await consumer.ends(consumer.places)).values())


def header(record: ConsumerRecord, name: str) -> str:
    """Empty where there is none."""
    return codec.header(record.headers, name) or ""
