"""How long one hop takes: from the instant a command is due to be sent until its event is in a reader's hands.

Paced and open: a command is sent when its time has come, whatever became of those before it.
"""

import asyncio
import time
from collections.abc import Mapping
from itertools import islice

from aiokafka import TopicPartition

from shared.runtime.kafka.reading import LogReader
from tests.bench.load import commands
from tests.support.topics import producer, reader

SECONDS = 10.0
WARM_UP_SECONDS = 1.0
PATIENCE_SECONDS = 30


async def measure(bootstrap_servers: str, rate: int) -> list[float]:
    """Milliseconds, sorted."""
    count, warm_up = int((WARM_UP_SECONDS + SECONDS) * rate), int(WARM_UP_SECONDS * rate)
    given = list(islice(commands(count, f"paced-{rate}"), count))
    due = {command.id: number / rate for number, command in enumerate(given)}
    heard: dict[str, float] = {}
    async with (
        producer(bootstrap_servers, enable_idempotence=True) as to,
        reader(bootstrap_servers, "order.events") as events,
    ):
        listening = asyncio.create_task(_listen(events, await events.ends(events.places), due, heard))
        began = time.perf_counter() + 0.1
        for command in given:
            await asyncio.sleep(began + due[command.id] - time.perf_counter())
            await to.send("order.commands", command.value, key=command.key, headers=command.headers)
        await asyncio.wait_for(listening, PATIENCE_SECONDS)
    return sorted((heard[command.id] - began - due[command.id]) * 1000 for command in given[warm_up:])


async def _listen(
    events: LogReader, starts: Mapping[TopicPartition, int], due: dict[str, float], heard: dict[str, float]
) -> None:
    async for records in events.follow(starts):
        now = time.perf_counter()
        causes = (dict(record.headers)["ce_causationid"].decode() for record in records)
        heard.update((cause, now) for cause in causes if cause in due)
        if len(heard) == len(due):
            break


def report(rate: int, waits: list[float]) -> str:
    p50, p99 = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    return f"{rate:>4} commands/s   p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   ({len(waits)} commands)"
