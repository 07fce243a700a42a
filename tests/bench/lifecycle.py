"""Whole disputed lifecycles a second, and what one costs: the services on Kafka and PostgreSQL, and the baseline, which
does the same by hand (`by_hand.py`), turn by turn on the same cores. Whoever has no turn is frozen.

Both are driven by this process, whose own share is told and counted on neither side.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import asyncpg
from aiokafka import TopicPartition

from deploy.local.processes import Child, LocalStackError
from deploy.local.reaper import Reaper
from deploy.local.stack import Stack
from shared.runtime.kafka.reading import LogReader
from tests.bench.baseline import Baseline
from tests.bench.driver import Driver, driver
from tests.bench.sizes import Sizes, quantiles_ms, spread
from tests.bench.steps import refund_minor, total_minor
from tests.bench.system import processes
from tests.support.topics import reader

PACED_RATE = 50.0
SETTLING_SECONDS = 0.5
"""For the last letters and alarms of a round, which nobody waits for."""
LEDGER = "SELECT order_id, refunded_minor, paid_out_minor FROM refund.ledger_order"


@dataclass(frozen=True)
class Round:
    """Lifecycles a second, and CPU-ms per lifecycle: of each process, and of who drove them."""

    rate: float
    cpu: Mapping[str, float]
    driver: float

    @property
    def total(self) -> float:
        return sum(self.cpu.values())


@dataclass(frozen=True)
class Lifecycles:
    """Our rounds and the baseline's took turns. `records`: topic -> per lifecycle. Waits are (p50, p99) in ms, at
    PACED_RATE commands a second."""

    ours: Sequence[Round]
    by_hand: Sequence[Round]
    records: Mapping[str, float]
    answer_ms: tuple[float, float]
    """From a command until the next one may be given."""
    ending_ms: tuple[float, float]
    """From the last command until both have their money."""
    paid: tuple[int, int]
    """Orders that the services, and by hand the baseline, have paid as was decided, to the penny: all of them."""


async def measure(stack: Stack, sizes: Sizes) -> Lifecycles:
    """Where all services are at work. Raises LocalStackError if money went where it should not."""
    reaper = Reaper()
    baseline = Baseline(stack, reaper)
    try:
        await baseline.start()
        async with driver(stack.bootstrap_servers) as driving, reader(stack.bootstrap_servers) as asking:
            await driving.hire()
            return await _turns(stack, baseline, driving, asking, sizes)
    finally:
        await baseline.stop()
        await asyncio.to_thread(reaper.close)


async def _turns(stack: Stack, baseline: Baseline, driving: Driver, asking: LogReader, sizes: Sizes) -> Lifecycles:
    servers = {**processes(stack), "Kafka": stack.kafka, "PostgreSQL": stack.postgres}
    services = Side(sizes, servers, driving.play)
    by_hand = Side(sizes, {"by hand": baseline, "PostgreSQL": baseline.postgres}, baseline.play)
    ours, theirs, records = [], [], Counter[str]()
    for number in range(1, sizes.rounds + 1):
        with _frozen([baseline]):
            await services.warm(number)
            before = await _records(stack, asking)
            ours.append(await services.round(number))
            records.update(await _records(stack, asking) - before)
        with _frozen(processes(stack).values()):
            await by_hand.warm(number)
            theirs.append(await by_hand.round(number))
    with _frozen([baseline]):
        await services.warm(sizes.rounds + 1)
        services.played["paced"] = await driving.paced("paced", PACED_RATE, sizes.seconds)
    paid = services.check(await _split(stack.database_url)), by_hand.check(await baseline.split())
    return Lifecycles(
        ours,
        theirs,
        {topic: number / sizes.rounds / sizes.lives for topic, number in records.items()},
        quantiles_ms(driving.waits.answers),
        quantiles_ms(driving.waits.endings),
        paid,
    )


@dataclass
class Side:
    """One of the two programs: whose CPU time is counted, and who gives the commands."""

    sizes: Sizes
    processes: Mapping[str, Child]
    play: Callable[[str, int, int], Awaitable[None]]
    """Name of the run, how many lifecycles, how many at a time."""
    played: Counter[str] = field(default_factory=Counter)

    async def warm(self, number: int) -> None:
        """Whoever was frozen has to take its shards again; and before the first round nothing is compiled or cached."""
        await self._play(f"warm-{number}", self.sizes.lives if number == 1 else self.sizes.at_once)

    async def round(self, number: int) -> Round:
        lives = self.sizes.lives
        before = {name: process.cpu_seconds() for name, process in self.processes.items()}
        mine, began = time.process_time(), time.perf_counter()
        await self._play(f"round-{number}", lives)
        seconds, mine = time.perf_counter() - began, time.process_time() - mine
        await asyncio.sleep(SETTLING_SECONDS)
        cpu = {name: (process.cpu_seconds() - before[name]) / lives * 1000 for name, process in self.processes.items()}
        return Round(lives / seconds, cpu, mine / lives * 1000)

    async def _play(self, run: str, lives: int) -> None:
        self.played[run] = lives
        await self.play(run, lives, self.sizes.at_once)

    def check(self, split: Mapping[str, tuple[int, int]]) -> int:
        """How many orders were paid: each what was decided, to the penny, and no other. Raises LocalStackError."""
        expected = {
            f"{run}-{number}": (refund_minor(number), total_minor(number) - refund_minor(number))
            for run, lives in self.played.items()
            for number in range(lives)
        }
        wrong = [order for order in {**split, **expected} if split.get(order) != expected.get(order)]
        if wrong:
            some = "; ".join(f"{order}: {split.get(order)}, not {expected.get(order)}" for order in wrong[:5])
            raise LocalStackError(f"{len(wrong)} orders were not paid as was decided: {some}")
        return len(expected)


async def _records(stack: Stack, asking: LogReader) -> Counter[str]:
    """Topic -> how many were ever written to it."""
    places = [TopicPartition(topic.name, number) for topic in stack.topics for number in range(topic.partitions)]
    ends = Counter[str]()
    for place, offset in (await asking.ends(places)).items():
        ends[place.topic] += offset
    return ends


async def _split(database_url: str) -> dict[str, tuple[int, int]]:
    """Order -> what the refund service's books say that buyer and seller have, minor units."""
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(LEDGER)
    await connection.close()
    return {order_id: (refunded, paid_out) for order_id, refunded, paid_out in rows}


@contextmanager
def _frozen(processes: Iterable[Child]) -> Iterator[None]:
    held = list(processes)
    for process in held:
        process.send(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in held:
            process.send(signal.SIGCONT)


def report(found: Lifecycles) -> str:
    """What both did, what one lifecycle costs and where, which records it writes, and how long one waits."""
    ours, by_hand = found.ours, found.by_hand
    rates = [one.rate / other.rate for one, other in zip(ours, by_hand, strict=True)]
    costs = [one.total / other.total for one, other in zip(ours, by_hand, strict=True)]
    lines = [
        f"{'median (min to max)':22}{'lifecycles/s':>24}{'CPU-ms a lifecycle':>28}{'driver':>10}",
        *(_line(name, rounds) for name, rounds in (("services", ours), ("by hand", by_hand))),
        f"{'ratio':22}{spread(rates, 2):>24}{spread(costs, 2):>28}",
        "",
        "CPU-ms a lifecycle: " + _each({name: median(one.cpu[name] for one in ours) for name in ours[0].cpu}, 1),
        "           by hand: " + _each({name: median(one.cpu[name] for one in by_hand) for name in by_hand[0].cpu}, 1),
        f"records a lifecycle: {sum(found.records.values()):.1f}: " + _each(found.records, 1),
        f"{PACED_RATE:.0f} commands/s: the next one may be given after p50 {found.answer_ms[0]:.1f} ms, "
        f"p99 {found.answer_ms[1]:.1f} ms",
        f"from the last command until both have their money: p50 {found.ending_ms[0]:.1f} ms, "
        f"p99 {found.ending_ms[1]:.1f} ms",
        f"{found.paid[0]} orders of the services and {found.paid[1]} by hand were paid as was decided, to the penny",
    ]
    return "\n".join(lines)


def _line(name: str, rounds: Sequence[Round]) -> str:
    rates, costs = spread([one.rate for one in rounds], 1), spread([one.total for one in rounds], 1)
    return f"{name:22}{rates:>24}{costs:>28}{median(one.driver for one in rounds):>10.1f}"


def _each(values: Mapping[str, float], digits: int) -> str:
    """The largest first."""
    ordered = sorted(values.items(), key=lambda one: -one[1])
    return ", ".join(f"{name} {value:.{digits}f}" for name, value in ordered if value)
