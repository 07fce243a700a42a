"""A key lies where whoever wrote it put it: the clients that people use agree with us on where that is.

aiokafka's partitioner is compared in tests/kit/test_codec.py; every inbox refuses what lies elsewhere in
tests/faults/test_hostile_input.py.
"""

import asyncio
import json
import random
import string
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

from deploy.local.kafka import tool
from deploy.local.stack import Stack
from deploy.memory import whole_system
from deploy.setup.topics import create_topics
from schemas.topics import PARTITIONS, Topic
from schemas.wire import MEDIATORS_KEY
from shared.kernel.codec import header
from shared.kernel.ports import StoredEvent
from shared.runtime.memory import World
from shared.runtime.partitions import partition_of
from tests.support.commands import command
from tests.support.topics import read_all

DICE = random.Random(12)
LETTERS = string.ascii_letters + string.digits + "._:-"
KEYS = [
    MEDIATORS_KEY,
    *(f"order-{number}" for number in range(100)),
    *(str(UUID(int=DICE.getrandbits(128))) for _ in range(100)),
    *("".join(DICE.choices(LETTERS, k=length)) for length in range(1, 65) for _ in range(5)),
]
"""Ids of every length there is."""

Write = Callable[[str, str, list[str]], Awaitable[None]]
"""To these brokers, into this topic, a record under each of these keys."""


async def by_java(servers: str, topic: str, keys: list[str]) -> None:
    properties = ("parse.key=true", "key.separator=|")
    arguments = ["--bootstrap-server", servers, "--topic", topic]
    argv, env = await tool("kafka-console-producer", *arguments, *(f"--reader-property={one}" for one in properties))
    lines = "".join(f"{key}|x\n" for key in keys)
    await asyncio.to_thread(subprocess.run, argv, env=env, input=lines, text=True, check=True, timeout=60)


def by_librdkafka(**options: str) -> Write:
    async def write(servers: str, topic: str, keys: list[str]) -> None:
        producer = Producer({"bootstrap.servers": servers, **options})
        for key in keys:
            producer.produce(topic, b"x", key.encode())
        assert await asyncio.to_thread(producer.flush, 30) == 0

    return write


async def by_aiokafka(servers: str, topic: str, keys: list[str]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        for key in keys:
            await producer.send(topic, b"x", key.encode())


async def written(stack: Stack, write: Write) -> dict[str, int]:
    """The partition that each key lies on."""
    topic = f"keys-{uuid4().hex[:8]}"
    await create_topics(stack.bootstrap_servers, [Topic(topic, PARTITIONS)])
    await write(stack.bootstrap_servers, topic, KEYS)
    records = await read_all(stack.bootstrap_servers, [topic])
    lies = {record.key.decode(): record.partition for record in records}
    assert lies.keys() == set(KEYS)
    return lies


OURS = {key: partition_of(key.encode(), PARTITIONS) for key in KEYS}


@pytest.mark.stack
@pytest.mark.parametrize(
    "write",
    [
        pytest.param(by_java, id="Java, as it is"),
        pytest.param(by_librdkafka(partitioner="murmur2_random"), id="librdkafka, told murmur2_random"),
        pytest.param(by_aiokafka, id="aiokafka, as it is"),
    ],
)
async def test_a_key_lies_where_we_look_for_it(stack: Stack, write: Write) -> None:
    assert set(OURS.values()) == set(range(PARTITIONS)), "these keys lie everywhere"
    assert await written(stack, write) == OURS


@pytest.mark.stack
async def test_librdkafka_must_be_told(stack: Stack) -> None:
    """The trap that docs/OPERATIONS.md warns of; should this ever pass unasked, the page may say so."""
    assert await written(stack, by_librdkafka()) != OURS


ANNA, BRUNO = ({"id": name, "email": f"{name}@example.com"} for name in ("anna", "bruno"))
PLACE = {
    "buyer": ANNA,
    "seller": BRUNO,
    "currency": "EUR",
    "lines": [{"line_id": "1", "title": "Desk lamp", "quantity": 1, "amount_minor": 4_900}],
    "payment": {"payment_id": "payment-1", "amount_minor": 4_900},
}


async def answer(world: World, type_: str, partition: int, role: str, person: str, **data: Any) -> list[str]:
    """All that the order service says to this command, given on this partition: types, and codes of refusals. That the
    order is paid is an answer to the payment service."""
    given = command(type_, "order-1", role, person, data, id_=type_)
    before = world.bus.records("order.events")
    world.bus.append(given.topic, given.key, given.value, given.headers, partition)
    await world.settle()
    said = [record for record in world.bus.records("order.events") if record not in before]
    heard = [record for record in said if header(record.headers, "ce_type") != "order.paid.v1"]
    assert all(header(record.headers, "ce_causationid") == type_ for record in heard)
    return [json.loads(record.value or b"").get("code", header(record.headers, "ce_type")) for record in heard]


def stored(world: World) -> list[StoredEvent]:
    return [row for store in world.stores.values() for shard in store.shards.values() for row in shard.events]


async def test_a_command_that_lies_elsewhere_is_refused_and_nothing_else_happens() -> None:
    world, _ = await whole_system(PARTITIONS)
    home = OURS["order-1"]
    elsewhere = (home + 1) % PARTITIONS
    ship = {"role": "seller", "person": "bruno", "carrier": "DHL", "tracking_number": "JD01"}
    assert await answer(world, "order.place.v1", home, "platform", "checkout", **PLACE) == ["order.placed.v1"]
    before = stored(world)
    assert await answer(world, "order.ship.v1", elsewhere, **ship) == ["key_mismatch"]
    [refusal] = [row for row in stored(world) if row not in before]
    assert (refusal.shard, refusal.type) == (elsewhere, "order.rejected.v1")
    assert await answer(world, "order.ship.v1", home, **ship) == ["order.shipped.v1"], "the very same, where it belongs"
