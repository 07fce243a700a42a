"""Records given to projections as a bus gives them: each topic in its order, and between topics at any pace."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from random import Random

import asyncpg

from schemas.instants import from_ms
from shared.kernel.ports import Followed, Input, Projection, Record


async def hear(
    pool: asyncpg.Pool, projections: Sequence[Projection], records: Sequence[Record], chance: Random
) -> None:
    """In commits of some records each."""
    logs: Mapping[str, list[Record]] = defaultdict(list)
    for record in records:
        logs[record.topic].append(record)
    while any(logs.values()):
        batch = []
        for topic in [topic for topic in logs if logs[topic] and chance.random() < 0.6]:
            number = chance.randrange(1, 40)
            batch += logs[topic][:number]
            del logs[topic][:number]
        inputs = [
            (record.partition, Input(Followed(record), "followed", "", "", from_ms(record.timestamp), ""))
            for record in batch
        ]
        async with pool.acquire() as connection, connection.transaction():
            for projection in projections:
                await projection.apply(connection, inputs, [])
