"""`make bench-casefile ORDERS=n`: the case file made from the topics by two processes, and how long a look takes then.

One order in ten is disputed and decided, the others are shipped and paid out; each is a copy of one that was played in
memory, under its own name. The baseline of the same run reads the same records and keeps none of them.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass
from statistics import quantiles

import asyncpg
from confluent_kafka import Producer

from deploy.local.processes import LocalStackError
from deploy.local.stack import Stack
from deploy.memory import open_stage
from deploy.stories.claims import disputed
from deploy.stories.dialogue import Scene
from schemas.topics import FOLLOWED, PARTITIONS
from schemas.wire import MEDIATORS_KEY
from services.casefile.front.desk import Desk
from services.casefile.shown.reading import Asked, CaseFilter, OrderFilter
from services.casefile.tables.store import PostgresCaseTables
from shared.kernel.ports import Record
from shared.rules import policies
from shared.runtime.kafka.reading import LogReader
from shared.runtime.partitions import partition_of
from shared.runtime.postgres.database import create_pool

DISPUTED_EVERY = 10
PLAYED = "played"
LOOKS = 300
OPERATOR = Asked("operator", "olga")
PROCESSES = 2
SIZE = """
SELECT sum(pg_total_relation_size(oid)) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'casefile_1'::regnamespace
"""
FRESH_SECONDS = 5.0
PATIENCE_SECONDS = 3 * 3600


@dataclass(frozen=True)
class Templates:
    """What was said of one order that went well, and of one that was disputed; and of the roster."""

    well: Sequence[Record]
    disputed: Sequence[Record]
    roster: Sequence[Record]


async def templates() -> Templates:
    stage, _ = await open_stage("aliexpress")
    well = await Scene(stage, f"{PLAYED}w").shipped_order(lamp=10_00)
    await well.buyer.says("order.confirm_receipt")
    await well.ends(buyer=0, seller=10_00)
    case = await Scene(stage, f"{PLAYED}d").shipped_order(lamp=10_00)
    await disputed(case, 10_00)
    await case.seller.says("dispute.reject", dispute_id="d1")
    await case.buyer.says("dispute.escalate", dispute_id="d1")
    await case.mediator()
    logs = [log for (topic, _), log in stage.world.bus.logs.items() if topic in FOLLOWED]
    by_key = {
        key: [one for log in logs for one in log if one.key == key.encode()]
        for key in (well.order_id, case.order_id, MEDIATORS_KEY)
    }
    return Templates(by_key[well.order_id], by_key[case.order_id], by_key[MEDIATORS_KEY])


def copies(
    played: Sequence[Record], order_id: str, partition: int, numbers: Counter[tuple[str, int]]
) -> Iterator[Record]:
    """Under another name, numbered as their shard would."""
    old = (played[0].key or b"", order_id.encode())
    for record in played:
        headers = []
        for name, value in record.headers:
            if name == "ce_source":
                value = (value or b"").rpartition(b"/")[0] + b"/%d" % partition
            elif name == "ce_sequence":
                source = record.topic.partition(".")[0]
                numbers[source, partition] += 1
                value = b"%d" % numbers[source, partition]
            elif name in ("ce_id", "ce_causationid", "ce_correlationid"):
                value = b"%s.%s" % (old[1], value or b"")
            elif value is not None:
                value = value.replace(*old)
            headers.append((name, value))
        yield Record(record.topic, partition, 0, 0, old[1], (record.value or b"").replace(*old), headers)


def load(stack: Stack, played: Templates, orders: int) -> Counter[str]:
    """Puts them on the topics; how many on each."""
    producer = Producer(
        {"bootstrap.servers": stack.bootstrap_servers, "linger.ms": 50, "batch.size": 500_000, "acks": "1",
         "queue.buffering.max.messages": 200_000}
    )  # fmt: skip
    numbers, said = Counter[tuple[str, int]](), Counter[str]()

    def put(record: Record) -> None:
        while True:
            try:
                producer.produce(record.topic, record.value, record.key, record.partition, headers=list(record.headers))
                break
            except BufferError:
                producer.poll(0.1)
        said[record.topic] += 1

    home = partition_of(MEDIATORS_KEY.encode(), PARTITIONS)
    for record in copies(played.roster, MEDIATORS_KEY, home, numbers):
        put(record)
    for number in range(orders):
        order_id = f"bench-{number:07d}"
        one = played.well if number % DISPUTED_EVERY else played.disputed
        for record in copies(one, order_id, partition_of(order_id.encode(), PARTITIONS), numbers):
            put(record)
        if number % 1_000 == 0:
            producer.poll(0)
    producer.flush()
    return said


async def bare(stack: Stack) -> int:
    """Reads all of it; how many records a second."""
    began, count = time.monotonic(), 0
    async with LogReader({"bootstrap_servers": stack.bootstrap_servers}, sorted(FOLLOWED)) as reader:
        async for some in reader.to_the_end():
            count += len(some)
    return round(count / (time.monotonic() - began))


async def made(stack: Stack, records: int) -> float:
    """Seconds until an edition is shown that has all of it: from when it is first at work to the end of the last."""
    names = [f"casefile#{number}" for number in range(1, PROCESSES + 1)]
    await stack.start_services(names, {"RECOURSE_CASEFILE_SIGNIN": "local"})
    began = time.monotonic()
    pool = await create_pool(stack.database_url, "casefile_1", 1)
    try:
        while (read := await pool.fetchval("SELECT coalesce(sum(next_offset), 0)::bigint FROM cursor")) < records:
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise LocalStackError(f"After {PATIENCE_SECONDS} s {read} of {records} records are read.")
            await asyncio.sleep(0.5)
        seconds = time.monotonic() - began
        tables = PostgresCaseTables(pool, PARTITIONS)
        while (await tables.as_of()).behind_seconds > FRESH_SECONDS:  # noqa: ASYNC110 - of other processes
            await asyncio.sleep(0.5)
        return seconds
    finally:
        await pool.close()


async def looked(stack: Stack, orders: int) -> dict[str, list[float]]:
    """Milliseconds of each look: of lists and of cases, at the desk."""
    pool = await create_pool(stack.database_url, "casefile_1", 4)
    known = policies.load()
    desk = Desk(PostgresCaseTables(pool, PARTITIONS), lambda: known, sender=None)  # type: ignore[arg-type]
    chance, waits = random.Random(1), dict[str, list[float]]()
    for _ in range(LOOKS):
        order_id = f"bench-{chance.randrange(orders // DISPUTED_EVERY) * DISPUTED_EVERY:07d}"
        looks: dict[str, Awaitable[object]] = {
            "list of cases": desk.cases(OPERATOR, CaseFilter(), limit=50),
            "list of orders": desk.orders(OPERATOR, OrderFilter(), limit=50),
            "case": desk.case(OPERATOR, order_id, "d1"),
        }
        for name, look in looks.items():
            began = time.monotonic()
            await look
            waits.setdefault(name, []).append((time.monotonic() - began) * 1000)
    await pool.close()
    return waits


async def bench(orders: int) -> None:
    played = await templates()
    async with Stack(own_servers=True) as stack:
        print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}; {orders:,} orders", flush=True)
        said = load(stack, played, orders)
        records = sum(said.values())
        print(f"{records:,} records in {len(said)} topics, {records / orders:.1f} an order", flush=True)
        rate = await bare(stack)
        print(f"baseline: {rate:,} records a second are read and not kept", flush=True)
        seconds = await made(stack, records)
        ours = round(records / seconds)
        print(
            f"made by {PROCESSES} processes: {ours:,} records a second, {ours / rate:.2f} of the baseline", flush=True
        )
        connection = await asyncpg.connect(stack.database_url)
        size = await connection.fetchval(SIZE)
        await connection.close()
        print(f"on disk: {size / 2**20:,.0f} MiB, {size / records:,.0f} bytes a record", flush=True)
        for name, waits in (await looked(stack, orders)).items():
            cuts = quantiles(waits, n=20)
            print(f"{name}: p50 {cuts[9]:.1f} ms, p95 {cuts[18]:.1f} ms", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench-casefile", description=__doc__)
    parser.add_argument("--orders", type=int, default=20_000)
    try:
        asyncio.run(bench(parser.parse_args().orders))
    except LocalStackError as error:
        sys.exit(str(error))
