"""How long one hop takes: from the instant a command is due to be sent until its event is in a reader's hands; through
the order service, and through a process that decodes and decides nothing (`bare_hop.py`), turn by turn.

Paced and open: a command is sent when its time has come, whatever became of those before it.
"""

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median

from aiokafka import TopicPartition

from deploy.local.processes import Child
from deploy.local.reaper import Reaper
from deploy.local.stack import REPO, Stack
from deploy.setup.topics import create_topics
from schemas.topics import all_topics
from shared.runtime.kafka.reading import LogReader
from tests.bench import bare_hop
from tests.bench.bare_hop import COMMANDS, EVENTS, PREFIX
from tests.bench.load import commands
from tests.bench.sizes import Sizes, quantiles_ms, spread
from tests.support.topics import producer, reader

RATES = (50, 300)
WARM_UP_SECONDS = 1.0
PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Hop:
    """At so many commands a second: (p50, p99) in ms of each round, through the order service and through the bare
    process."""

    rate: int
    ours_ms: Sequence[tuple[float, float]]
    bare_ms: Sequence[tuple[float, float]]


class BareHop(Child):
    async def start(self, stack: Stack) -> None:
        wanted = {PREFIX + COMMANDS, PREFIX + EVENTS}
        partitions = stack.topics[0].partitions
        await create_topics(
            stack.bootstrap_servers, [topic for topic in all_topics(PREFIX, partitions) if topic.name in wanted]
        )
        argv = [sys.executable, "-m", "tests.bench.bare_hop", stack.bootstrap_servers, stack.database_url]
        self._spawn([*argv, str(partitions)], cwd=REPO)
        await self._until(self._said_ready)

    async def _said_ready(self) -> bool:
        return bare_hop.READY in self._lines()


async def measure(stack: Stack, sizes: Sizes) -> list[Hop]:
    """Where the order service is at work."""
    reaper = Reaper()
    bare = BareHop("The bare hop", stack.folder / "logs" / "bare_hop.log", reaper)
    try:
        await bare.start(stack)
        return [await _turns(stack, rate, sizes) for rate in RATES]
    finally:
        await bare.stop()
        await asyncio.to_thread(reaper.close)


async def _turns(stack: Stack, rate: int, sizes: Sizes) -> Hop:
    hop = Hop(rate, ours_ms := [], bare_ms := [])
    for number in range(sizes.rounds):
        ours_ms.append(await _waits(stack, f"{rate}-{number}", rate, sizes.seconds, ""))
        bare_ms.append(await _waits(stack, f"{rate}-{number}", rate, sizes.seconds, PREFIX))
    return hop


async def _waits(stack: Stack, run: str, rate: int, seconds: float, prefix: str) -> tuple[float, float]:
    count, warm_up = int((WARM_UP_SECONDS + seconds) * rate), int(WARM_UP_SECONDS * rate)
    given = list(islice(commands(count, f"paced-{run}"), count))
    due = {command.id: number / rate for number, command in enumerate(given)}
    heard: dict[str, float] = {}
    async with (
        producer(stack.bootstrap_servers, enable_idempotence=True) as to,
        reader(stack.bootstrap_servers, prefix + EVENTS) as events,
    ):
        listening = asyncio.create_task(_listen(events, await events.ends(events.places), due, heard))
        began = time.perf_counter() + 0.1
        for command in given:
            await asyncio.sleep(began + due[command.id] - time.perf_counter())
            await to.send(prefix + COMMANDS, command.value, key=command.key, headers=command.headers)
        await asyncio.wait_for(listening, PATIENCE_SECONDS)
    return quantiles_ms([heard[command.id] - began - due[command.id] for command in given[warm_up:]])


async def _listen(
    events: LogReader, starts: Mapping[TopicPartition, int], due: Mapping[str, float], heard: dict[str, float]
) -> None:
    async for records in events.follow(starts):
        now = time.perf_counter()
        causes = (dict(record.headers)["ce_causationid"].decode() for record in records)
        heard.update((cause, now) for cause in causes if cause in due)
        if len(heard) == len(due):
            break


def report(hops: Sequence[Hop]) -> str:
    """Two lines for each rate: the median of the rounds, and their least and greatest ratio."""
    lines = [f"{'median of rounds':24}{'order service':>16}{'bare':>12}{'ratio':>24}"]
    for hop in hops:
        for quantile, ours, bare in zip(
            ("p50", "p99"), zip(*hop.ours_ms, strict=True), zip(*hop.bare_ms, strict=True), strict=True
        ):
            ratios = [one / least for one, least in zip(ours, bare, strict=True)]
            name = f"{hop.rate} commands/s, {quantile}"
            lines.append(f"{name:24}{median(ours):>13.1f} ms{median(bare):>9.1f} ms{spread(ratios, 1):>24}")
    return "\n".join(lines)
