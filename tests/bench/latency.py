"""How long one hop takes: from the instant a command is due to be sent until its event is in a reader's hands.

Paced and open: a command is sent when its time has come, whatever became of those before it.
"""

import asyncio
import time
from itertools import islice

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.bench.load import commands

SECONDS = 10.0
WARM_UP_SECONDS = 1.0
PATIENCE_SECONDS = 30


async def measure(bootstrap_servers: str, partitions: int, rate: int) -> list[float]:
    """Milliseconds, sorted."""
    count, warm_up = int((WARM_UP_SECONDS + SECONDS) * rate), int(WARM_UP_SECONDS * rate)
    given = list(islice(commands(count, f"paced-{rate}"), count))
    due = {command.id: number / rate for number, command in enumerate(given)}
    heard: dict[str, float] = {}
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers)
    reader.assign([TopicPartition("order.events", partition) for partition in range(partitions)])
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, enable_idempotence=True) as producer, reader:
        await reader.seek_to_end()
        began = time.perf_counter() + 0.1
        listening = asyncio.create_task(_listen(reader, due, heard))
        for command in given:
            await asyncio.sleep(began + due[command.id] - time.perf_counter())
            await producer.send("order.commands", command.value, key=command.key, headers=command.headers)
        await asyncio.wait_for(listening, PATIENCE_SECONDS)
    return sorted((heard[command.id] - began - due[command.id]) * 1000 for command in given[warm_up:])


async def _listen(reader: AIOKafkaConsumer, due: dict[str, float], heard: dict[str, float]) -> None:
    while len(heard) < len(due):
        fetched = await reader.getmany(timeout_ms=1000)
        now = time.perf_counter()
        for records in fetched.values():
            causes = (dict(record.headers)["ce_causationid"].decode() for record in records)
            heard.update((cause, now) for cause in causes if cause in due)


def report(rate: int, waits: list[float]) -> str:
    p50, p99 = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    return f"{rate:>4} commands/s   p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   ({len(waits)} commands)"
