"""What the durable side of the timers must do, in memory and on PostgreSQL."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from deploy.local.stack import Stack
from services import timer
from services.timer.projection import BEGINNING, MemoryTimerTable, Timer, TimerChange, TimerPlace, TimerTable
from services.timer.store import PostgresTimerTable
from shared.runtime.postgres.database import create_pool
from shared.runtime.postgres.migrate import migrate


@dataclass
class Bench:
    table: TimerTable
    pool: asyncpg.Pool | None

    async def write(self, change: TimerChange, shard: int = 0) -> None:
        if self.pool is None:
            await self.table.write(None, {shard: change})
            return
        async with self.pool.acquire() as connection, connection.transaction():
            await self.table.write(connection, {shard: change})

    async def all(self, shard: int = 0) -> list[str]:
        return [timer.timer_id for timer in await self.table.page(None, shard, BEGINNING, 1_000)]


@pytest.fixture
async def bench(real: Stack | None) -> AsyncIterator[Bench]:
    if real is None:
        yield Bench(MemoryTimerTable(), None)
        return
    schema = f"timer_{uuid4().hex[:8]}"
    await migrate(real.database_url, schema, [Path(timer.__path__[0]) / "migrations"])
    pool = await create_pool(real.database_url, schema, 2)
    yield Bench(PostgresTimerTable(pool), pool)
    await pool.execute(f'DROP SCHEMA "{schema}" CASCADE')
    await pool.close()


def armed(*timers: Timer, watermark: TimerPlace = BEGINNING) -> TimerChange:
    return TimerChange(armed={timer.timer_id: timer for timer in timers}, watermark=watermark)


def due(timer_id: str, ring_at: int, name: str = "n") -> Timer:
    return Timer(timer_id, ring_at, ring_at - 1, name, "order", f"order-{timer_id}", "c \N{SNOWMAN}")


async def test_before_anything_has_rung_the_watermark_is_the_beginning(bench: Bench) -> None:
    assert await bench.table.watermark(0) == BEGINNING
    await bench.write(TimerChange(watermark=TimerPlace(7, "t")))
    assert await bench.table.watermark(0) == TimerPlace(7, "t")
    assert await bench.table.watermark(1) == BEGINNING


async def test_pages_follow_each_other_in_the_order_of_ringing(bench: Bench) -> None:
    timers = [due(f"t{number}", 100 + number // 2) for number in range(7)]
    await bench.write(armed(*reversed(timers)))
    first = await bench.table.page(None, 0, BEGINNING, 3)
    second = await bench.table.page(None, 0, first[-1].place, 3)
    third = await bench.table.page(None, 0, second[-1].place, 3)
    assert [*first, *second, *third] == timers
    assert await bench.table.page(None, 0, third[-1].place, 3) == []


async def test_timers_of_one_instant_follow_each_other_as_python_orders_their_ids(bench: Bench) -> None:
    """Heap and table must agree on what lies behind the watermark, whatever language the database speaks."""
    names = [
        "order/a",
        "order/B",
        "order/_",
        "order/\N{LATIN SMALL LETTER E WITH ACUTE}",
        "order/z",
        "Order/a",
        "order/10",
        "order/9",
    ]
    await bench.write(armed(*(due(name, 100) for name in names)))
    assert await bench.all() == sorted(names)
    if bench.pool is not None:
        order = "SELECT DISTINCT collation_name FROM information_schema.columns WHERE column_name = 'timer_id'"
        assert [row[0] for row in await bench.pool.fetch(f"{order} AND table_schema = current_schema()")] == ["C"]


async def test_arming_a_known_timer_moves_it(bench: Bench) -> None:
    await bench.write(armed(due("a", 100), due("b", 200)))
    await bench.write(armed(due("a", 300, "later")))
    assert await bench.table.page(None, 0, BEGINNING, 10) == [due("b", 200), due("a", 300, "later")]


async def test_a_cancelled_timer_is_gone_and_cancelling_what_is_gone_is_no_error(bench: Bench) -> None:
    await bench.write(armed(due("a", 100), due("b", 200)))
    for _ in range(2):
        await bench.write(TimerChange(cancelled={"a"}))
    assert await bench.all() == ["b"]


async def test_a_sweep_removes_what_has_rung_and_nothing_else(bench: Bench) -> None:
    await bench.write(armed(due("a", 100), due("b", 100), due("c", 100), due("d", 101)))
    await bench.write(armed(due("a", 100)), shard=1)
    await bench.write(TimerChange(watermark=TimerPlace(100, "b")))
    assert await bench.all() == ["a", "b", "c", "d"]
    await bench.write(TimerChange(watermark=TimerPlace(100, "b"), swept=True))
    assert await bench.all() == ["c", "d"]
    assert await bench.all(shard=1) == ["a"]
