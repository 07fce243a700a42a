"""The ceiling: the least a process could do for the same bytes on the same servers. No decoding, no deciding.

Each batch is one insert with the offsets, then the records the service would have said. Batches overlap: one is
written to PostgreSQL while the one before is on its way to Kafka.
"""

import asyncio
import gc
import pickle
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.topics import BATCH_BYTES_MAX

INBOX = "order.commands"
PREFIX = "ceiling."
TABLES = """
CREATE TABLE event (partition integer, "offset" bigint, key bytea, value bytea, PRIMARY KEY (partition, "offset"));
CREATE TABLE cursor (partition integer PRIMARY KEY, next_offset bigint NOT NULL) WITH (fillfactor = 10);
INSERT INTO cursor SELECT number, 0 FROM generate_series(0, 99) AS number
"""
COMMIT = """
WITH cursors AS (
    UPDATE cursor SET next_offset = mine.next_offset
    FROM unnest($5::int[], $6::bigint[]) AS mine (partition, next_offset)
    WHERE cursor.partition = mine.partition
)
INSERT INTO event SELECT * FROM unnest($1::int[], $2::bigint[], $3::bytea[], $4::bytea[])
"""


class Saying(NamedTuple):
    """One record that the service says."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Share(NamedTuple):
    """One partition: so many commands, and what is said to them, in order."""

    commands: int
    sayings: list[Saying]


async def run(bootstrap_servers: str, database_url: str, shares: dict[int, Share], batch_max: int) -> None:
    database = await asyncpg.connect(database_url)
    await database.execute(TABLES)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(INBOX, partition) for partition in shares])
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, enable_idempotence=True, acks="all", max_batch_size=BATCH_BYTES_MAX
    )
    await producer.start()
    await consumer.start()
    gc.collect()
    gc.freeze()
    signal.raise_signal(signal.SIGSTOP)  # ready; whoever measures it lets it go
    said = dict.fromkeys(shares, 0)
    left = sum(share.commands for share in shares.values())
    sending: list[asyncio.Future[Any]] = []
    while left:
        fetched = await consumer.getmany(timeout_ms=1000, max_records=batch_max)
        records = [record for of_partition in fetched.values() for record in of_partition]
        if not records:
            continue
        reached = {place.partition: of_partition[-1].offset + 1 for place, of_partition in fetched.items()}
        columns = zip(*((r.partition, r.offset, r.key, r.value) for r in records), strict=True)
        await database.execute(COMMIT, *columns, list(reached), list(reached.values()))
        await asyncio.gather(*sending)
        sending = []
        for partition, offset in reached.items():
            share = shares[partition]
            until = offset * len(share.sayings) // share.commands
            sending += await _send(producer, partition, share.sayings[said[partition] : until])
            said[partition] = until
        left -= len(records)
    await asyncio.gather(*sending)
    await asyncio.Event().wait()  # whoever measures it reads its CPU time before he ends it


async def _send(producer: AIOKafkaProducer, partition: int, sayings: Sequence[Saying]) -> list[asyncio.Future[Any]]:
    batches: dict[str, Any] = {}
    for topic, key, value, headers in sayings:
        if topic not in batches:
            batches[topic] = producer.create_batch()
        if batches[topic].append(timestamp=None, key=key, value=value, headers=headers) is None:
            raise RuntimeError("what one batch says does not fit into one batch")
    return [await producer.send_batch(batch, PREFIX + topic, partition=partition) for topic, batch in batches.items()]


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], pickle.loads(Path(sys.argv[3]).read_bytes()), int(sys.argv[4])))
