"""One order with a million refused commands: what it costs its service, and everybody else.

Rows are put into the table as the service would have written them, but for the bus: a million refusals take an hour. In
tests/kit/test_long_streams.py rows are counted; here time and memory are told, and compared with a calm run.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.stack import Stack
from schemas.topics import PARTITIONS
from shared.runtime.partitions import partition_of
from tests.support.commands import Given, command
from tests.support.topics import header, producer, reader

REFUSALS = int(os.environ.get("RECOURSE_TEST_FLOOD") or 0)
ASKED = 200
MEMORY_BYTES_MAX = 50 * 2**20

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(1_200),
    pytest.mark.skipif(
        not REFUSALS, reason="RECOURSE_TEST_FLOOD says how many commands were refused; a million is a lot"
    ),
]

FLOOD = """
INSERT INTO "order".event (shard, position, partition, order_id, type, time, id, causation_id, correlation_id,
    command_id, asked, digest, data)
SELECT shard, $2 + n, partition, order_id, type, time, id || n, causation_id || n, correlation_id,
    command_id || n, decode(md5('asked' || n), 'hex'), decode(md5('body' || n), 'hex'), data
FROM (SELECT * FROM "order".event WHERE order_id = $1 AND type = 'order.rejected.v1' LIMIT 1) AS refusal
CROSS JOIN generate_series(1, $3::bigint) AS n
"""
MOVE = """
UPDATE "order".shard SET position = position + $2, published = position + $2 WHERE shard = $1
"""


class Desk:
    """Gives commands and knows when the answer was there."""

    def __init__(self, to: AIOKafkaProducer) -> None:
        self.to = to
        self.waiting: dict[str, asyncio.Future[float]] = {}

    async def listen(self, bootstrap_servers: str) -> None:
        async with reader(bootstrap_servers, "order.events") as consumer:
            async for records in consumer.follow():
                for record in records:
                    if answer := self.waiting.pop(header(record, "ce_causationid"), None):
                        answer.set_result(time.monotonic())

    async def answer(self, given: Given) -> float:
        """After how many seconds it came."""
        answer = self.waiting[given.id] = asyncio.get_running_loop().create_future()
        began = time.monotonic()
        place = partition_of(given.key, PARTITIONS)
        await self.to.send_and_wait(given.topic, given.value, given.key, place, headers=given.headers)
        came: float = await answer
        return came - began


@asynccontextmanager
async def desk(stack: Stack) -> AsyncIterator[Desk]:
    async with producer(stack.bootstrap_servers) as to:
        desk = Desk(to)
        listening = asyncio.create_task(desk.listen(stack.bootstrap_servers))
        yield desk
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


def place(order_id: str) -> Given:
    data = {
        "buyer": {"id": "anna", "email": "anna@example.com"},
        "seller": {"id": "bruno", "email": "bruno@example.com"},
        "currency": "EUR",
        "lines": [{"line_id": "1", "title": "Lamp", "quantity": 1, "amount_minor": 4900}],
        "payment": {"payment_id": f"payment-{order_id}", "amount_minor": 4900},
    }
    return command("order.place.v1", order_id, "platform", "checkout", data)


def refused(order_id: str) -> Given:
    return command("order.cancel.v1", order_id, "buyer", "mallory", {})


async def p99(desk: Desk) -> float:
    """Of orders that have nothing to do with it, some of them on its shard."""
    took = []
    for number in range(ASKED):
        took.append(asyncio.create_task(desk.answer(place(f"other-{number}-{uuid4().hex[:6]}"))))
        await asyncio.sleep(0.02)
    return sorted(await asyncio.gather(*took))[int(ASKED * 0.99) - 1]


def memory(stack: Stack) -> int:
    return int(psutil.Process(stack.services["order"].pid).memory_info().rss)


async def test_who_was_refused_a_million_times_costs_the_others_nothing(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    hot = f"hot-{uuid4().hex[:6]}"
    shard = partition_of(hot.encode(), PARTITIONS)
    database = await asyncpg.connect(stack.database_url)
    await stack.start_services(["order"])
    async with desk(stack) as asking:
        await asking.answer(place(hot))
        await asking.answer(refused(hot))
        await p99(asking)
        calm = await p99(asking)
        await stack.services["order"].stop()

        began = time.monotonic()
        await stack.services["order"].start()
        calm_start, calm_first = time.monotonic() - began, await asking.answer(refused(hot))
        await p99(asking)
        calm_memory = memory(stack)
        await stack.services["order"].stop()

        top = await database.fetchval('SELECT position FROM "order".shard WHERE shard = $1', shard)
        await database.execute(FLOOD, hot, top, REFUSALS, timeout=900)
        await database.execute(MOVE, shard, REFUSALS)
        await database.execute('ANALYZE "order".event')

        began = time.monotonic()
        await stack.services["order"].start()
        start, first = time.monotonic() - began, await asking.answer(refused(hot))
        flooded = await p99(asking)
        grown = memory(stack) - calm_memory
    await stack.services.pop("order").stop()
    await database.close()
    with capsys.disabled():
        print(
            f"\n{REFUSALS} refused commands of one order. Start {start:.2f} s, calm {calm_start:.2f} s; its next answer"
            f" after {first * 1e3:.0f} ms, calm {calm_first * 1e3:.0f} ms; the others' p99 {flooded * 1e3:.0f} ms, calm"
            f" {calm * 1e3:.0f} ms ({flooded / calm:.2f} times); memory {grown / 2**20:+.1f} MiB."
        )
    assert grown < MEMORY_BYTES_MAX
    assert start < 2 * calm_start
    assert flooded < 2 * calm
