"""What does not go on by itself, in PostgreSQL: what the projection writes, and the list."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import asyncpg

from services.casefile.operating.stuck import ParkedOrder, SetAside, StuckRow, standstills
from services.casefile.shown.shapes import AsOf, CaseRow
from services.casefile.tables.cursors import cursor_at, opened
from shared.kernel.ports import Followed, Input, StoredEvent
from shared.runtime.postgres.database import outage

PARK = """
INSERT INTO order_parked (service, order_id, source, sequence, since, reason)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::text[])
    AS put (service, order_id, source, sequence, since, reason)
WHERE NOT EXISTS (
    SELECT FROM record WHERE record.order_id = put.order_id AND record.topic = put.service || '.events'
        AND record.source = put.source AND record.sequence > put.sequence
)
ON CONFLICT (service, order_id) DO UPDATE
SET source = excluded.source, sequence = excluded.sequence, reason = excluded.reason
WHERE order_parked.sequence < excluded.sequence
"""
GOES_ON = """
DELETE FROM order_parked USING unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
    AS spoke (service, order_id, source, sequence)
WHERE (order_parked.service, order_parked.order_id, order_parked.source)
    = (spoke.service, spoke.order_id, spoke.source) AND order_parked.sequence < spoke.sequence
"""
NOT_TOLD = """
INSERT INTO undelivered (order_id, delivery_id, since, problem, channel, recipient, template, endpoint_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[])
ON CONFLICT (order_id, delivery_id) DO UPDATE SET since = excluded.since, problem = excluded.problem
"""
TOLD = """
DELETE FROM undelivered USING unnest($1::text[], $2::text[]) AS told (order_id, delivery_id)
WHERE (undelivered.order_id, undelivered.delivery_id) = (told.order_id, told.delivery_id)
"""
EMPTY = """
INSERT INTO empty_seat (order_id, dispute_id, since, round, is_overdue, mediator_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::int[], $5::boolean[], $6::text[])
ON CONFLICT (order_id, dispute_id) DO UPDATE SET since = excluded.since, round = excluded.round,
    is_overdue = excluded.is_overdue, mediator_id = excluded.mediator_id
"""
TAKEN = """
DELETE FROM empty_seat USING unnest($1::text[], $2::text[]) AS taken (order_id, dispute_id)
WHERE (empty_seat.order_id, empty_seat.dispute_id) = (taken.order_id, taken.dispute_id)
"""
LEFT = """code <> 'parked' AND NOT EXISTS (
    SELECT FROM casefile.dealt_with AS done
    WHERE (done.topic, done.partition, done."offset") = (dead_letter.topic, dead_letter.partition, dead_letter."offset")
)"""
"""Dead letters that nobody has dealt with and that do not wait with their order."""
ALL = f"""
SELECT kind, order_id, since, key, reason, about::text FROM stuck
UNION ALL
SELECT 'dead_letter', NULL, min(at), topic || '/' || code, code,
    json_build_object(
        'topic', topic, 'code', code, 'count', count(*), 'newest_at', max(at), 'example', min(reason)
    )::text
FROM dead_letter WHERE {LEFT} GROUP BY topic, code
"""
LIST = f"""
SELECT * FROM ({ALL}) AS stuck
WHERE ($1::text IS NULL OR kind = $1) AND ($2::timestamptz IS NULL OR (since, kind, key) > ($2, $3, $4))
ORDER BY since, kind, key LIMIT $5
"""
COUNT = f"SELECT kind, count(*) FROM ({ALL}) AS stuck GROUP BY kind ORDER BY kind"
LETTERS = f"""
SELECT * FROM dead_letter WHERE ($1::text IS NULL OR topic = $1) AND ($2::text IS NULL OR code = $2)
    AND at >= coalesce($3, '-infinity'::timestamptz) AND at <= coalesce($4, 'infinity'::timestamptz)
    AND ($5::text IS NULL OR id = $5) AND {LEFT}
ORDER BY at, topic, partition, "offset" LIMIT $6
"""
PARKED = """
SELECT * FROM order_parked WHERE ($1::text IS NULL OR service = $1) AND ($2::text IS NULL OR reason LIKE $2)
ORDER BY since, service, order_id LIMIT $3
"""
OF_A_MEDIATOR = """
SELECT row FROM case_row WHERE mediator = $1 AND is_open ORDER BY due_at, order_id, dispute_id LIMIT $2
"""


class StuckOfOrders:
    """Comes behind the projection that keeps the records, which says whether an order went on before it was known to
    be parked: between topics there is no order."""

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        found = standstills(one.payload.record for _, one in inputs if isinstance(one.payload, Followed))
        if found.set_aside:
            await transaction.copy_records_to_table("dead_letter", records=found.set_aside, columns=SetAside._fields)
        if found.parked:
            await transaction.execute(PARK, *zip(*found.parked.values(), strict=True))
        if found.spoke:
            rows = [(*place, sequence) for place, sequence in found.spoke.items()]
            await transaction.execute(GOES_ON, *zip(*rows, strict=True))
        await _put(transaction, NOT_TOLD, TOLD, found.undelivered)
        await _put(transaction, EMPTY, TAKEN, found.seats)


async def _put(transaction: Any, put: str, gone: str, found: dict[tuple[str, str], Any]) -> None:
    if rows := [one for one in found.values() if one is not None]:
        await transaction.execute(put, *zip(*rows, strict=True))
    if over := [key for key, one in found.items() if one is None]:
        await transaction.execute(gone, *zip(*over, strict=True))


@dataclass(frozen=True)
class StuckRows:
    """The longest first; `next`: cursor of those that follow, None: there are none."""

    rows: Sequence[StuckRow]
    next: str | None
    as_of: AsOf


@dataclass(frozen=True)
class LetterFilter:
    """None: all. Instants are of the dead letters; `id`: the `ce_id` of what was set aside."""

    topic: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    id: str | None = None


class StuckTables(Protocol):
    """Read only. Raises Outage."""

    async def as_of(self) -> AsOf: ...

    async def stuck(self, kind: str | None, cursor: str | None, limit: int) -> StuckRows:
        """Raises ValueError for a cursor that no list gave."""
        ...

    async def counts(self) -> dict[str, int]:
        """Kind -> how many rows; of dead letters how many reasons."""
        ...

    async def letters(self, wanted: LetterFilter, limit: int) -> Sequence[SetAside]:
        """That nobody has dealt with, but for those of parked orders; the oldest first."""
        ...

    async def parked(self, service: str | None, reason: str | None, limit: int) -> Sequence[ParkedOrder]:
        """`reason`: how it begins, behind `parked: `."""
        ...

    async def cases_of(self, mediator: str, limit: int) -> Sequence[CaseRow]:
        """Open ones."""
        ...


class PostgresStuckTables:
    """`StuckTables`. `as_of`: how far the topics are read."""

    def __init__(self, pool: asyncpg.Pool, as_of: Callable[[], Awaitable[AsOf]]) -> None:
        self.pool, self._as_of = pool, as_of

    async def as_of(self) -> AsOf:
        return await self._as_of()

    async def stuck(self, kind: str | None, cursor: str | None, limit: int) -> StuckRows:
        at, names = (None, [None, None]) if cursor is None else opened(cursor, 2)
        with outage():
            found = await self.pool.fetch(LIST, kind, at, *names, limit + 1)
        rows = [StuckRow(**{**row, "about": json.loads(row["about"])}) for row in found[:limit]]
        ends = cursor_at(rows[-1].since, rows[-1].kind, rows[-1].key) if len(found) > limit else None
        return StuckRows(rows, ends, await self.as_of())

    async def counts(self) -> dict[str, int]:
        with outage():
            return dict(await self.pool.fetch(COUNT))

    async def letters(self, wanted: LetterFilter, limit: int) -> Sequence[SetAside]:
        asked = (wanted.topic, wanted.code, wanted.since, wanted.until, wanted.id)
        with outage():
            return [SetAside(*row) for row in await self.pool.fetch(LETTERS, *asked, limit)]

    async def parked(self, service: str | None, reason: str | None, limit: int) -> Sequence[ParkedOrder]:
        like = None if reason is None else "parked: " + reason.replace("\\", "\\\\").replace("%", r"\%") + "%"
        with outage():
            return [ParkedOrder(*row) for row in await self.pool.fetch(PARKED, service, like, limit)]

    async def cases_of(self, mediator: str, limit: int) -> Sequence[CaseRow]:
        with outage():
            found = await self.pool.fetch(OF_A_MEDIATOR, mediator, limit)
        return [CaseRow.model_validate_json(row) for (row,) in found]
