"""The timers in PostgreSQL."""

from typing import Any

import asyncpg

from services.timer.projection import BEGINNING, Timer, TimerChange, TimerPlace

PAGE = """
SELECT timer_id, ring_at, due_at, name, deliver_to, order_id, correlation_id FROM timer
WHERE shard = $1 AND (ring_at, timer_id) > ($2, $3) ORDER BY ring_at, timer_id LIMIT $4
"""
ARM = """
INSERT INTO timer (shard, timer_id, ring_at, due_at, name, deliver_to, order_id, correlation_id)
SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[])
ON CONFLICT (shard, timer_id) DO UPDATE SET ring_at = excluded.ring_at, due_at = excluded.due_at,
    name = excluded.name, deliver_to = excluded.deliver_to, correlation_id = excluded.correlation_id
"""
CANCEL = """
DELETE FROM timer USING unnest($1::int[], $2::text[]) AS gone (shard, timer_id)
WHERE timer.shard = gone.shard AND timer.timer_id = gone.timer_id
"""
MOVE_WATERMARK = """
INSERT INTO watermark (shard, ring_at, timer_id) SELECT * FROM unnest($1::int[], $2::bigint[], $3::text[])
ON CONFLICT (shard) DO UPDATE SET ring_at = excluded.ring_at, timer_id = excluded.timer_id
"""
SWEEP = "DELETE FROM timer WHERE shard = $1 AND (ring_at, timer_id) <= ($2, $3)"


class PostgresTimerTable:
    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool

    async def watermark(self, shard: int) -> TimerPlace:
        row = await self.pool.fetchrow("SELECT ring_at, timer_id FROM watermark WHERE shard = $1", shard)
        return TimerPlace(*row) if row else BEGINNING

    async def page(self, transaction: Any, shard: int, after: TimerPlace, limit: int) -> list[Timer]:
        return [Timer(*row) for row in await (transaction or self.pool).fetch(PAGE, shard, *after, limit)]

    async def write(self, transaction: Any, changes: dict[int, TimerChange]) -> None:
        armed = [
            (shard, t.timer_id, t.fire_at, t.due_at, t.name, t.deliver_to, t.order_id, t.correlation_id)
            for shard, change in changes.items()
            for t in change.armed.values()
        ]
        cancelled = [(shard, timer_id) for shard, change in changes.items() for timer_id in change.cancelled]
        marks = [(shard, *(change.back_to or change.watermark)) for shard, change in changes.items()]
        for shard, change in changes.items():
            if change.swept:
                await transaction.execute(SWEEP, shard, *change.watermark)
        if armed:
            await transaction.execute(ARM, *map(list, zip(*armed, strict=True)))
        if cancelled:
            await transaction.execute(CANCEL, *map(list, zip(*cancelled, strict=True)))
        if marks:
            await transaction.execute(MOVE_WATERMARK, *map(list, zip(*marks, strict=True)))
