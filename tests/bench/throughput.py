"""How many commands a second one process of the order service takes through its whole loop, and how many a process
could that decides nothing (`ceiling.py`): the same bytes, the same servers, turn by turn."""

import asyncio
import pickle
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil
from aiokafka import TopicPartition
from confluent_kafka import OFFSET_END
from confluent_kafka import TopicPartition as Place

from deploy.local.processes import Child
from deploy.local.reaper import Reaper
from deploy.local.stack import REPO, Stack
from deploy.setup.broker import answers, connect
from deploy.setup.topics import create_topics
from schemas.topics import all_topics
from shared.runtime.kafka.reading import LogReader
from tests.bench import ceiling
from tests.bench.load import commands
from tests.bench.sizes import Sizes, spread
from tests.bench.system import environment
from tests.support.topics import producer, reader

BATCH_MAX = 500
ANSWERS, ALARMS = "order.events", "timer.commands"
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Run:
    """One process took the commands through: at what rate, and for how much CPU time per command, in µs."""

    rate: float
    own: float
    kafka: float
    postgres: float
    batch: float
    """Commands per commit."""


class Ceiling(Child):
    async def start(self, stack: Stack, database_url: str, shares: Path) -> None:
        argv = [sys.executable, "-m", "tests.bench.ceiling", stack.bootstrap_servers, database_url]
        self._spawn([*argv, str(shares), str(BATCH_MAX)], cwd=REPO)
        await self._until(self._waits)

    async def _waits(self) -> bool:
        return psutil.Process(self.pid).status() == psutil.STATUS_STOPPED


@dataclass(frozen=True)
class Throughputs:
    """A run each, turn by turn."""

    commands: int
    ours: Sequence[Run]
    ceiling: Sequence[Run]


async def measure(stack: Stack, sizes: Sizes) -> Throughputs:
    """On servers that nobody has used before."""
    reaper = Reaper()
    try:
        async with reader(stack.bootstrap_servers, ANSWERS, ALARMS) as said:
            subject = _Throughput(stack, reaper, said)
            await subject.prepare(sizes.orders)
            ours, bare = [], []
            for number in range(1, sizes.rounds + 1):
                bare.append(await subject.ceiling(f"ceiling-{number}"))
                ours.append(await subject.service(f"round-{number}"))
            return Throughputs(subject.given, ours, bare)
    finally:
        await asyncio.to_thread(reaper.close)


class _Throughput:
    """Commands wait in order.commands, and stay there: every run begins with an empty database and reads them all."""

    def __init__(self, stack: Stack, reaper: Reaper, said: LogReader) -> None:
        self.stack, self.reaper, self.reader = stack, reaper, said
        self.given = 0
        self.partitions = range(stack.topics[0].partitions)
        self.shares = stack.folder / "shares.pickle"

    async def prepare(self, orders: int) -> None:
        """Gives the commands, and has the service handle them once: the servers are warm then, and what it said is
        what the ceiling is to say."""
        wanted = {ceiling.PREFIX + ANSWERS, ceiling.PREFIX + ALARMS}
        topics = [topic for topic in all_topics(ceiling.PREFIX, len(self.partitions)) if topic.name in wanted]
        await create_topics(self.stack.bootstrap_servers, topics)
        servers = self.stack.bootstrap_servers
        async with producer(servers, linger_ms=20, max_batch_size=200_000) as to:
            for command in commands(orders, "full"):
                await to.send(ceiling.INBOX, command.value, key=command.key, headers=command.headers)
        given = await self._ends(ceiling.INBOX)
        self.given = sum(given.values())
        await self.service("warm-up")
        said = {partition: await self._said(partition) for partition in self.partitions}
        shares = {partition: ceiling.Share(given[partition], said[partition]) for partition in self.partitions}
        self.shares.write_bytes(pickle.dumps(shares))

    async def _said(self, partition: int) -> list[ceiling.Saying]:
        places = [place for place in self.reader.places if place.partition == partition]
        said = [record async for records in self.reader.to_the_end(places) for record in records]
        return sorted((ceiling.Saying(r.topic, r.key, r.value, list(r.headers)) for r in said), key=_sequence)

    async def _ends(self, topic: str) -> dict[int, int]:
        ends = await self.reader.ends(TopicPartition(topic, partition) for partition in self.partitions)
        return {place.partition: offset for place, offset in ends.items()}

    async def service(self, name: str) -> Run:
        """The real process."""
        await self._forget()
        database_url = await self._empty_database(name)
        answered = await self._count(ANSWERS)
        its_own = {"RECOURSE_DATABASE_URL": database_url, "RECOURSE_BATCH_RECORDS_MAX": str(BATCH_MAX)}
        await self.stack.start_services([f"order#{name}"], environment(self.stack) | its_own)
        process = self.stack.services[f"order#{name}"]
        run = await self._measure(process, ANSWERS, answered, database_url, '"order".event')
        await process.stop()
        return run

    async def _forget(self) -> None:
        """What it said in the run before: it would not serve an empty database beside its own words."""
        admin = await connect({"bootstrap.servers": self.stack.bootstrap_servers}, seconds=10)
        places = [Place(place.topic, place.partition, OFFSET_END) for place in self.reader.places]
        await answers(admin.delete_records(places))

    async def ceiling(self, name: str) -> Run:
        database_url = await self._empty_database(name)
        topic = ceiling.PREFIX + ANSWERS
        answered = await self._count(topic)
        process = Ceiling("The ceiling", self.stack.folder / "logs" / f"{name}.log", self.reaper)
        await process.start(self.stack, database_url, self.shares)
        run = await self._measure(process, topic, answered, database_url, "event")
        await process.stop()
        return run

    async def _measure(self, process: Child, topic: str, before: int, database_url: str, table: str) -> Run:
        """From now, when it is ready, to the last answer; the few that were given before are not counted."""
        servers = (process, self.stack.kafka, self.stack.postgres)
        first = await self._count(topic)
        used, began = [server.cpu_seconds() for server in servers], time.perf_counter()
        process.send(signal.SIGCONT)  # the ceiling waits for it, to the service it means nothing
        last = await self._reached(process, topic, before + self.given)
        seconds, used_then = time.perf_counter() - began, [server.cpu_seconds() for server in servers]
        handled = last - first
        connection = await asyncpg.connect(database_url)
        commits = await connection.fetchval(f"SELECT count(DISTINCT xmin::text) FROM {table}")
        await connection.close()
        own, kafka, postgres = ((b - a) / handled * 1e6 for a, b in zip(used, used_then, strict=True))
        return Run(handled / seconds, own, kafka, postgres, self.given / commits)

    async def _reached(self, process: Child, topic: str, wanted: int) -> int:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (count := await self._count(topic)) < wanted:
                process.check()
                await asyncio.sleep(LOOK_SECONDS)
        return count

    async def _count(self, topic: str) -> int:
        return sum((await self._ends(topic)).values())

    async def _empty_database(self, name: str) -> str:
        name = f"bench_{name.replace('-', '_')}"
        connection = await asyncpg.connect(self.stack.database_url)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        return urlsplit(self.stack.database_url)._replace(path=f"/{name}").geturl()


def _sequence(saying: ceiling.Saying) -> int:
    return int(dict(saying.headers)["ce_sequence"])


def report(found: Throughputs) -> str:
    """A line for each, and what the one is of the other, round by round."""
    ours, bare = found.ours, found.ceiling
    titles = ("commands/s", "own", "Kafka", "PostgreSQL", "batch")
    lines = [
        f"{found.commands:,} commands; CPU time in µs each: own, Kafka, PostgreSQL; batches of at most {BATCH_MAX}",
        f"{'median (min to max)':19}" + "".join(f"{title:>{width}}" for title, width in _columns(titles)),
    ]
    for name, runs in (("order service", ours), ("ceiling", bare)):
        spreads = [spread(values) for values in zip(*map(astuple, runs), strict=True)]
        lines.append(f"{name:19}" + "".join(f"{spread:>{width}}" for spread, width in _columns(spreads)))
    ratios = [run.rate / most.rate for run, most in zip(ours, bare, strict=True)]
    lines.append(f"\nratio: {spread(ratios, 2)}")
    return "\n".join(lines)


def _columns(texts: Sequence[str]) -> list[tuple[str, int]]:
    return list(zip(texts, (28, 22, 20, 20, 20), strict=True))
