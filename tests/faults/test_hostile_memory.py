"""What is heavy and hostile costs a service about as much memory as as many bytes of ordinary work."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice, repeat
from uuid import uuid4

import psutil
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from deploy.local.stack import Stack
from deploy.setup.topics import create_topics
from schemas.topics import HEADERS_MAX, PARTITIONS, RECORD_BYTES_MAX, all_topics
from shared.runtime.kafka.internals import Records
from shared.runtime.partitions import partition_of
from tests.faults.hostile import NAME, Header, Sent, Twist, at, flood, header, misnamed, value
from tests.faults.hostile_table import NOISE, ORDER
from tests.support.topics import header as header_of
from tests.support.topics import producer, reader

BYTES = 3 * PARTITIONS * 1024 * 1024
"""More than a process takes from the broker at once, from every partition."""
TIMES_ORDINARY_MAX = 2
SMALL = 2_000
LOOK_SECONDS = 0.01
LINES = [{"line_id": f"l{n}", "title": "Lamp " * 20, "quantity": 1, "amount_minor": 50} for n in range(20)]


@pytest.mark.stack
@pytest.mark.timeout(300)
async def test_what_is_heavy_takes_no_more_memory_than_what_is_much(stack: Stack, database_url: str) -> None:
    shop = Shop(stack, f"memory-{uuid4().hex[:8]}.", database_url)
    await create_topics(stack.bootstrap_servers, all_topics(shop.prefix))
    much = await shop.peak(ordinary())
    heavy = await shop.peak(hostile())
    print(f"at most {much / 2**20:.0f} MiB for ordinary work, {heavy / 2**20:.0f} MiB for hostile input")
    assert heavy < TIMES_ORDINARY_MAX * much


@dataclass
class Shop:
    """An order service on topics and a database of its own."""

    stack: Stack
    prefix: str
    database_url: str

    async def peak(self, records: Iterator[Sent]) -> int:
        """The most memory (bytes) of a service that finds all this when it starts, and handles it."""
        await self.send(records)
        lives = [replace(good(n), partition=n) for n in range(PARTITIONS)]
        await self.send(iter(lives))
        env = {"RECOURSE_TOPIC_PREFIX": self.prefix, "RECOURSE_DATABASE_URL": self.database_url}
        await self.stack.start_services(["order"], env)
        service = self.stack.services.pop("order")
        looking = asyncio.create_task(most(service.pid))
        waiting = {header_id(sent) for sent in lives}
        async with reader(self.stack.bootstrap_servers, f"{self.prefix}order.events") as events:
            async for answers in events.follow():
                service.check()
                waiting -= {header_of(record, "ce_causationid") for record in answers}
                if not waiting:
                    break
        await service.stop()
        return await looking

    async def send(self, records: Iterator[Sent]) -> None:
        servers, room = self.stack.bootstrap_servers, 4 * RECORD_BYTES_MAX
        async with producer(servers, max_request_size=room, linger_ms=5) as to:
            for sent in records:
                where = sent.partition if sent.partition is not None else partition_of(sent.key or b"", PARTITIONS)
                headers = list(sent.headers)
                await to.send(self.prefix + sent.topic, sent.value, key=sent.key, headers=headers, partition=where)
            await to.flush()


async def most(pid: int) -> int:
    seen, process = 0, psutil.Process(pid)
    while True:
        try:
            seen = max(seen, process.memory_info().rss)
        except psutil.NoSuchProcess:
            return seen
        await asyncio.sleep(LOOK_SECONDS)


def header_id(sent: Sent) -> str:
    return next((raw or b"").decode() for name, raw in sent.headers if name == "ce_id")


def good(number: int) -> Sent:
    name = f"{number}-{uuid4().hex}"
    return ORDER.good(name, name)


def ordinary() -> Iterator[Sent]:
    for number in range(BYTES // len(whole(0).value or b"")):
        yield whole(number)


def whole(number: int) -> Sent:
    """An order of many lines."""
    return at(("lines",), LINES)(good(number))


def hostile() -> Iterator[Sent]:
    """Each as large as the broker takes it, in turns on every partition; and many small ones."""
    room = RECORD_BYTES_MAX - 1_000
    nameless: list[Header] = [("", b"")] * (room // 3)
    named: list[Header] = [(f"{n:x}", b"") for n in range(room // 8)]
    noise = value(NOISE * (room // len(NOISE)))
    kinds: list[Twist] = [
        lambda sent: replace(sent, headers=(*sent.headers, *nameless)),
        lambda sent: replace(sent, headers=(*sent.headers, *named)),
        lambda sent: value(b"{")(replace(sent, headers=(*sent.headers, *nameless))),
        noise,
        lambda sent: replace(sent, key=b"k" * room),
        lambda sent: replace(header("ce_id", b"i" * room)(sent), value=b"{}"),
    ]
    turns = chain.from_iterable(repeat(kind, PARTITIONS) for kind in chain.from_iterable(repeat(kinds)))
    for number, kind in enumerate(islice(turns, BYTES // RECORD_BYTES_MAX)):
        yield replace(kind(good(number)), partition=number % PARTITIONS)
    for number in range(SMALL):
        yield replace(value(NOISE)(good(number)), partition=number % PARTITIONS)
        yield replace(flood(HEADERS_MAX - 10)(good(number)), partition=number % PARTITIONS)


def fetched(*names: str, more: int = 0) -> bytes:
    """One batch as the broker gives it, with a record for each name of a header."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=0,
        batch_size=RECORD_BYTES_MAX,
    )
    for offset, name in enumerate(names):
        builder.append(offset, timestamp=1, key=b"o1", value=b"{}", headers=[(name, b""), *[("", b"")] * more])
    return misnamed(bytearray(builder.build()))


@pytest.mark.parametrize("name", ["x", NAME], ids=["as aiokafka reads", "where that cannot"])
def test_of_a_flood_of_headers_only_so_many_are_kept_as_show_that_there_are_too_many(name: str) -> None:
    [read] = Records(fetched(name, more=100_000)).next_batch()
    assert len(read.headers) == HEADERS_MAX + 1


def test_a_header_that_cannot_be_read_costs_no_other_record_and_repeats_none() -> None:
    read = list(Records(fetched("a", "b", NAME, "c", NAME)).next_batch())
    assert [(record.offset, len(record.headers)) for record in read] == [(n, 1) for n in range(5)]
