"""The timer service with a million timers that are far away: how soon it is at work, what it holds in memory, how late
it rings, and how fast it catches up on what fell due while it was away.

Timers are written into its table; how late they ring is the broker's time of what it says, less the instant.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import asyncpg
import psutil

from deploy.local.processes import LocalStackError
from deploy.local.stack import ServiceProcess, Stack
from schemas.instants import to_ms
from schemas.timer.events import Elapsed
from shared.runtime.kafka.reading import LogReader
from tests.bench.sizes import Sizes, quantiles_ms
from tests.support.topics import header, reader

RATE = 1_000
ASKED_BY = "order"
COLUMNS = ("shard", "timer_id", "ring_at", "due_at", "name", "deliver_to", "order_id", "correlation_id")
COPIED_AT_ONCE = 100_000
FAR_MS, FAR_SPAN_MS = 3_600_000, 60 * 24 * 3_600_000
SLACK_SECONDS = 2.0
"""The first timers ring so long after the service should be at work."""
PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Rings:
    """`lateness_ms`: (p50, p99), at RATE rings a second. `catching_up`: rings a second."""

    pending: int
    load_seconds: float
    start_seconds: float
    rss_mib: float
    lateness_ms: tuple[float, float]
    overdue: int
    catching_up: float


async def measure(stack: Stack, sizes: Sizes) -> Rings:
    """Where the timer service has made its table. Raises LocalStackError if not all of them ring."""
    service = stack.services["timer"]
    await service.stop()
    async with reader(stack.bootstrap_servers, f"{ASKED_BY}.commands") as heard:
        connection = await asyncpg.connect(stack.database_url, timeout=60)
        try:
            return await _Timers(service, connection, heard, sizes).measured()
        finally:
            await connection.close()


class _Timers:
    def __init__(self, service: ServiceProcess, connection: asyncpg.Connection, heard: LogReader, sizes: Sizes) -> None:
        self.service, self.connection, self.heard, self.sizes = service, connection, heard, sizes

    async def measured(self) -> Rings:
        far = _now_ms() + FAR_MS
        count = self.sizes.timers
        began = time.perf_counter()
        await self._copy("far", (far + number * FAR_SPAN_MS // count for number in range(count)))
        await self.connection.execute("VACUUM ANALYZE timer.timer")
        loaded = time.perf_counter() - began
        start = await self._start()
        rss = psutil.Process(self.service.pid).memory_info().rss / 2**20
        late = await self._late(start)
        catching_up = await self._caught_up()
        return Rings(count, loaded, start, rss, quantiles_ms(late), self.sizes.overdue, catching_up)

    async def _start(self) -> float:
        began = time.perf_counter()
        await self.service.start()
        return time.perf_counter() - began

    async def _late(self, start: float) -> list[float]:
        """Seconds, of those that were due after it was at work. If it took too long the next are due later."""
        count = int(RATE * self.sizes.seconds)
        for slack in (2 * start + SLACK_SECONDS, 8 * start + SLACK_SECONDS, 32 * start + SLACK_SECONDS):
            await self.service.stop()
            first, name = _now_ms() + int(slack * 1000), f"near{slack:.0f}"
            await self._copy(name, (first + number * 1000 // RATE for number in range(count)))
            listening = asyncio.create_task(self._rings(name, count))
            await self._start()
            ready, rang = _now_ms(), await listening
            if late := [(at - due) / 1000 for due, at in rang if due > ready]:
                return late
        raise LocalStackError(f"The timer service was not at work within {slack:.0f} s.")

    async def _caught_up(self) -> float:
        """Rings a second: from the first to the last."""
        await self.service.stop()
        count, now = self.sizes.overdue, _now_ms()
        await self._copy("overdue", (now + number % 1000 for number in range(count)))
        await asyncio.sleep(max(0.0, (now + 1_100 - _now_ms()) / 1000))
        listening = asyncio.create_task(self._rings("overdue", count))
        await self._start()
        rang = [at for _, at in await listening]
        return (count - 1) / max((max(rang) - min(rang)) / 1000, 0.001)

    async def _copy(self, name: str, dues: Iterable[int]) -> None:
        """`dues`: ms."""
        rows = self._rows(name, dues)
        while some := list(islice(rows, COPIED_AT_ONCE)):
            await self.connection.copy_records_to_table(
                "timer", schema_name="timer", records=some, columns=COLUMNS, timeout=PATIENCE_SECONDS
            )

    def _rows(self, name: str, dues: Iterable[int]) -> Iterator[tuple[object, ...]]:
        for number, due in enumerate(dues):
            order_id = f"{name}-{number}"
            shard = number % self.sizes.partitions
            yield shard, f"{ASKED_BY}/{order_id}", due + 1, due, "protection_ends", ASKED_BY, order_id, order_id

    async def _rings(self, name: str, count: int) -> Sequence[tuple[int, int]]:
        """(due, rang) of each, ms. A ring may come twice, and counts when it first came."""
        rang: dict[str, tuple[int, int]] = {}
        until = time.monotonic() + PATIENCE_SECONDS
        async for records in self.heard.follow():
            bells = (record for record in records if header(record, "ce_type") == Elapsed.type)
            for record in bells:
                elapsed = Elapsed.model_validate_json(record.value or b"")
                if elapsed.timer_id.startswith(f"{ASKED_BY}/{name}-"):
                    rang.setdefault(elapsed.timer_id, (to_ms(elapsed.due_at), record.timestamp))
            if len(rang) == count:
                return list(rang.values())
            if time.monotonic() > until:
                break
        raise LocalStackError(f"Of {count} timers {len(rang)} rang within {PATIENCE_SECONDS:.0f} s.")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def report(rings: Rings) -> str:
    """A line for each question."""
    p50, p99 = rings.lateness_ms
    return "\n".join(
        [
            f"{rings.pending:,} timers pending (written in {rings.load_seconds:.0f} s): at work after "
            f"{rings.start_seconds:.1f} s, {rings.rss_mib:.0f} MiB of memory",
            f"{RATE:,} rings a second are late by p50 {p50:.1f} ms, p99 {p99:.1f} ms",
            f"{rings.overdue:,} that are overdue ring at {rings.catching_up:,.0f} a second",
        ]
    )
