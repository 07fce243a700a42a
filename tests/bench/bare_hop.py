"""The least a hop can be: consumed, a row committed in PostgreSQL, produced. No decoding, no deciding.

`python -m tests.bench.bare_hop BOOTSTRAP_SERVERS DATABASE_URL PARTITIONS`: what is said to
`bare.order.commands` is said again on `bare.order.events`, as its own cause.
"""

import asyncio
import sys

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

PREFIX = "bare."
COMMANDS, EVENTS = "order.commands", "order.events"
READY = "ready"
TABLE = "CREATE TABLE bare_hop (value bytea)"
COMMIT = "INSERT INTO bare_hop SELECT * FROM unnest($1::bytea[])"


async def run(bootstrap_servers: str, database_url: str, partitions: int) -> None:
    database = await asyncpg.connect(database_url)
    await database.execute(TABLE)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(PREFIX + COMMANDS, partition) for partition in range(partitions)])
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, enable_idempotence=True, acks="all")
    await producer.start()
    await consumer.start()
    print(READY, flush=True)
    while True:
        fetched = await consumer.getmany(timeout_ms=1000)
        records = [record for of_partition in fetched.values() for record in of_partition]
        if records:
            await database.execute(COMMIT, [record.value for record in records])
        for record in records:
            cause = ("ce_causationid", dict(record.headers)["ce_id"])
            headers = [*record.headers, cause]
            await producer.send(PREFIX + EVENTS, record.value, record.key, record.partition, headers=headers)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3])))
