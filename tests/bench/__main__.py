"""`make bench`: throughput against its ceiling, then the latency of one hop, on the embedded Kafka and PostgreSQL."""

import asyncio
import os
import platform
import sys
from contextlib import closing

from deploy.local.processes import LocalStackError
from deploy.local.reaper import Reaper
from deploy.local.stack import Stack
from tests.bench import latency, throughput
from tests.bench.throughput import ALARMS, ANSWERS, BATCH_MAX, ORDERS, ROUNDS, Throughput
from tests.support.topics import reader

RATES = (50, 300)


async def bench() -> None:
    async with Stack(own_servers=True) as stack, reader(stack.bootstrap_servers, ANSWERS, ALARMS) as said:
        with closing(Reaper()) as reaper:
            await measure(stack, Throughput(stack, reaper, said))


async def measure(stack: Stack, subject: Throughput) -> None:
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
    await subject.prepare()
    partitions = len(subject.partitions)
    print(f"\nThroughput: {subject.given:,} commands to {ORDERS:,} orders over {partitions} shards, {ROUNDS} rounds.")
    print(f"CPU time (own, Kafka, PostgreSQL) in µs per command; a batch has at most {BATCH_MAX}.\n", flush=True)
    ours, bare = [], []
    for number in range(1, ROUNDS + 1):
        bare.append(await subject.bare(f"ceiling-{number}"))
        async with subject.service(f"round-{number}") as run:
            ours.append(run)
            if number == ROUNDS:
                print(throughput.report(ours, bare))
                print("\nLatency of one hop: a command is due, its event is in a reader's hands\n", flush=True)
                for rate in RATES:
                    waits = await latency.measure(stack.bootstrap_servers, rate)
                    print(latency.report(rate, waits), flush=True)
    print(f"\nLoad average at the end {os.getloadavg()[0]:.1f}. Next to other work only ratios mean anything.")


if __name__ == "__main__":
    try:
        asyncio.run(bench())
    except LocalStackError as error:
        sys.exit(str(error))
