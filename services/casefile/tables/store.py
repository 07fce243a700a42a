"""The case file's tables in PostgreSQL: what the projection writes, and what is asked of them."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg

from schemas.instants import EPOCH
from schemas.wire import MEDIATORS_KEY
from services.casefile.foresight.remembered import in_order
from services.casefile.shown.reading import Asked, CaseFilter, Found, OrderFilter, Rows
from services.casefile.shown.shapes import AsOf, CaseRow, OrderRow
from services.casefile.tables.cursors import cursor_at, opened
from services.casefile.tables.projection import CaseKey, KeptRecord, is_ours
from shared.kernel import codec
from shared.kernel.envelope import number_in
from shared.kernel.ports import Headers, Record
from shared.runtime.postgres.database import outage

RECORD = (
    *("order_id", "topic", "partition", "offset", "timestamp", "id", "type", "time", "source", "sequence"),
    *("causation_id", "correlation_id", "headers", "value"),
)
ORDERS = "SELECT order_id, row FROM order_row WHERE order_id = ANY ($1::text[])"
CASES = """
SELECT order_id, dispute_id, row FROM case_row
JOIN unnest($1::text[], $2::text[]) AS wanted (order_id, dispute_id) USING (order_id, dispute_id)
"""
PUT_ORDERS = """
INSERT INTO order_row (order_id, buyer, seller, status, placed_at, due_at, row)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::json[])
ON CONFLICT (order_id) DO UPDATE SET buyer = excluded.buyer, seller = excluded.seller, status = excluded.status,
    placed_at = excluded.placed_at, due_at = excluded.due_at, row = excluded.row
"""
PUT_CASES = """
INSERT INTO case_row (order_id, dispute_id, buyer, seller, mediator, mediators, status, waiting_for, is_appeal, is_open,
    claimed_minor, due_at, row)
SELECT order_id, dispute_id, buyer, seller, mediator, ARRAY (SELECT json_array_elements_text(mediators)), status,
    ARRAY (SELECT json_array_elements_text(waiting_for)), is_appeal, is_open, claimed_minor, due_at, row
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::json[], $7::text[], $8::json[],
    $9::boolean[], $10::boolean[], $11::bigint[], $12::timestamptz[], $13::json[])
    AS put (order_id, dispute_id, buyer, seller, mediator, mediators, status, waiting_for, is_appeal, is_open,
        claimed_minor, due_at, row)
ON CONFLICT (order_id, dispute_id) DO UPDATE SET buyer = excluded.buyer, seller = excluded.seller,
    mediator = excluded.mediator, mediators = excluded.mediators, status = excluded.status,
    waiting_for = excluded.waiting_for, is_appeal = excluded.is_appeal, is_open = excluded.is_open,
    claimed_minor = excluded.claimed_minor, due_at = excluded.due_at, row = excluded.row
"""
NO_CASES = """
DELETE FROM case_row USING unnest($1::text[], $2::text[]) AS gone (order_id, dispute_id)
WHERE (case_row.order_id, case_row.dispute_id) = (gone.order_id, gone.dispute_id)
"""
FIND = f"""
SELECT {", ".join(f'"{name}"' for name in RECORD[1:])} FROM record WHERE order_id = $1
ORDER BY timestamp, topic, "offset" LIMIT $2
"""
ROSTER = f"""
SELECT {", ".join(f'record."{name}"' for name in RECORD[1:])} FROM record
JOIN unnest($1::text[], $2::bigint[]) AS seen (topic, last) ON record.topic = seen.topic AND record."offset" > last
WHERE order_id = '{MEDIATORS_KEY}'
"""
FRESH = """
INSERT INTO freshness (shard, at) SELECT * FROM unnest($1::int[], $2::timestamptz[])
ON CONFLICT (shard) DO UPDATE SET at = greatest(freshness.at, excluded.at)
"""
READ = "SELECT topic, sum(next_offset)::bigint AS records FROM cursor GROUP BY topic"
AS_OF = "SELECT count(*) AS shards, min(at) AS at FROM freshness"
RECORDS_MAX = 20_000
"""Of one order that are shown: more than its acts can be."""
ROSTER_TOPICS = ("mediation.events", "mediation.roster")
LATE_MAX = 1_000
"""So many records of the roster may lie behind one of the other topic that was read before them."""
NEVER = datetime.max.replace(tzinfo=UTC)


def _stored(kept: KeptRecord) -> tuple[Any, ...]:
    record, said = kept.record, kept.attributes
    sequence = number_in(said.get("sequence", ""))
    ours = is_ours(record)
    return (
        *(kept.order_id, record.topic, record.partition, record.offset, record.timestamp, kept.id, kept.type),
        *((said.get("time"), said.get("source"), sequence) if ours else [None] * 3),
        *((said.get("causationid"), said.get("correlationid")) if ours else (None, None)),
        None if ours else codec.pack_headers(record.headers),
        record.value,
    )


def _record(row: Mapping[str, Any]) -> Record:
    headers = _headers(row) if row["headers"] is None else codec.unpack_headers(row["headers"])
    return Record(row["topic"], row["partition"], row["offset"], row["timestamp"], None, row["value"], headers)


def _headers(row: Mapping[str, Any]) -> Headers:
    """As our services write them, as far as readers of ours ask for them."""
    said = {
        "ce_specversion": "1.0",
        "ce_id": row["id"],
        "ce_type": row["type"],
        "ce_time": row["time"],
        "ce_source": row["source"],
        "ce_sequence": row["sequence"],
        "ce_causationid": row["causation_id"],
        "ce_correlationid": row["correlation_id"],
        "content-type": "application/json",
    }
    return [(name, str(value).encode()) for name, value in said.items() if value is not None]


def _order(row: OrderRow) -> tuple[Any, ...]:
    due_at = min((one.at for one in row.deadlines), default=None)
    return row.order_id, row.buyer, row.seller, row.status, row.placed_at, due_at, row.model_dump_json()


def _case(row: CaseRow) -> tuple[Any, ...]:
    return (
        *(row.order_id, row.dispute_id, row.buyer, row.seller, row.mediator, json.dumps(row.mediators), row.status),
        *(json.dumps(row.waiting_for), row.is_appeal, row.dispute_status != "closed", row.claimed_minor),
        *(row.due_at or NEVER, row.model_dump_json()),
    )


class PostgresCaseTables:
    """Both sides: `RowTables` of projection.py, which needs no pool, and `CaseTables` of reading.py."""

    def __init__(self, pool: asyncpg.Pool, shards: int) -> None:
        self.pool, self.shards = pool, shards
        self._roster: list[Record] = []
        self._seen: dict[str, int] = {}
        """Topic -> offset of the last of its records in the roster."""
        self._reading = asyncio.Lock()

    async def rows(
        self, transaction: Any, orders: Sequence[str], cases: Sequence[CaseKey]
    ) -> tuple[dict[str, OrderRow], dict[CaseKey, CaseRow]]:
        found_orders = await transaction.fetch(ORDERS, orders) if orders else ()
        found_cases = await transaction.fetch(CASES, *zip(*cases, strict=True)) if cases else ()
        return (
            {order_id: OrderRow.model_validate_json(row) for order_id, row in found_orders},
            {(order_id, dispute_id): CaseRow.model_validate_json(row) for order_id, dispute_id, row in found_cases},
        )

    async def keep(
        self,
        transaction: Any,
        records: Sequence[KeptRecord],
        orders: Sequence[OrderRow],
        cases: Sequence[CaseRow],
        gone: Sequence[CaseKey],
    ) -> None:
        if records:
            await transaction.copy_records_to_table("record", records=map(_stored, records), columns=RECORD)
        if orders:
            await transaction.execute(PUT_ORDERS, *zip(*map(_order, orders), strict=True))
        if cases:
            await transaction.execute(PUT_CASES, *zip(*map(_case, cases), strict=True))
        if gone:
            await transaction.execute(NO_CASES, *zip(*gone, strict=True))

    async def fresh(self, at: Mapping[int, datetime]) -> None:
        """Notes up to when all is read of these shards."""
        with outage():
            await self.pool.execute(FRESH, list(at), list(at.values()))

    async def as_of(self) -> AsOf:
        with outage():
            read = await self.pool.fetch(READ)
            shards, at = await self.pool.fetchrow(AS_OF)
        at = at if shards >= self.shards else EPOCH
        behind = max((datetime.now(UTC) - at).total_seconds(), 0.0)
        return AsOf(at=at, records=dict(sorted(read)), behind_seconds=round(behind, 3))

    async def find(self, order_id: str) -> Found | None:
        with outage():
            rows = await self.pool.fetch(FIND, order_id, RECORDS_MAX)
        if not rows or order_id == MEDIATORS_KEY:
            return None
        records = [_keyed(_record(row), order_id) for row in rows]
        said = [one for one in records if _is_said(one.topic)]
        return Found(
            order_id,
            in_order(said),
            await self.roster(),
            [one for one in records if one.topic.endswith(".commands")],
            await self.as_of(),
            [one for one in records if one.topic.endswith(".dead-letters")],
        )

    async def roster(self) -> Sequence[Record]:
        """What came since the last look is read, and put in order with what may lie behind it."""
        async with self._reading:
            seen = [self._seen.get(topic, -1) for topic in ROSTER_TOPICS]
            with outage():
                rows = await self.pool.fetch(ROSTER, ROSTER_TOPICS, seen)
            if rows:
                more = [_keyed(_record(row), MEDIATORS_KEY) for row in rows]
                self._seen |= {one.topic: one.offset for one in sorted(more, key=lambda one: one.offset)}
                before, late = self._roster[:-LATE_MAX], self._roster[-LATE_MAX:]
                self._roster = [*before, *in_order([*late, *more])]
        return self._roster

    async def cases(self, asked: Asked, wanted: CaseFilter, cursor: str | None, limit: int) -> Rows:
        ask = _Question()
        match asked.role:
            case "buyer" | "seller":
                ask.that(f"{asked.role} = {{}}", asked.id)
            case "mediator":
                ask.that("mediators @> ARRAY [{}::text]", asked.id)
        if wanted.open_only:
            ask.that("is_open")
        match wanted.mediator:
            case "-":
                ask.that("mediator IS NULL")
            case str():
                ask.that("mediator = {}", wanted.mediator)
        if wanted.status is not None:
            ask.that("status = {}", wanted.status)
        if wanted.waiting_for is not None:
            ask.that("{} = ANY (waiting_for)", wanted.waiting_for)
        if wanted.due_before is not None:
            ask.that("due_at < {}", wanted.due_before)
        if wanted.is_appeal is not None:
            ask.that("is_appeal = {}", wanted.is_appeal)
        if wanted.claimed_from_minor is not None:
            ask.that("claimed_minor >= {}", wanted.claimed_from_minor)
        if cursor is not None:
            due_at, names = opened(cursor, 2)
            ask.that("(due_at, order_id, dispute_id) > ({}, {}, {})", due_at, *names)
        query = f"SELECT row FROM case_row {ask.where} ORDER BY due_at, order_id, dispute_id LIMIT {limit + 1:d}"
        with outage():
            found = [CaseRow.model_validate_json(row) for (row,) in await self.pool.fetch(query, *ask.values)]
        rows, more = found[:limit], len(found) > limit
        ends = cursor_at(rows[-1].due_at or NEVER, rows[-1].order_id, rows[-1].dispute_id) if more else None
        return Rows(cases=rows, next=ends, as_of=await self.as_of())

    async def orders(self, asked: Asked, wanted: OrderFilter, cursor: str | None, limit: int) -> Rows:
        ask = _Question()
        if asked.role in ("buyer", "seller"):
            ask.that(f"{asked.role} = {{}}", asked.id)
        elif asked.role == "mediator":
            ask.that("order_id IN (SELECT order_id FROM case_row WHERE mediators @> ARRAY [{}::text])", asked.id)
        for column in ("buyer", "seller", "status"):
            if (value := getattr(wanted, column)) is not None:
                ask.that(f"{column} = {{}}", value)
        if cursor is not None:
            at, (order_id,) = opened(cursor, 1)
            ask.that("(placed_at < {} OR (placed_at = {} AND order_id > {}))", at, at, order_id)
        query = f"SELECT row FROM order_row {ask.where} ORDER BY placed_at DESC, order_id LIMIT {limit + 1:d}"
        with outage():
            found = [OrderRow.model_validate_json(row) for (row,) in await self.pool.fetch(query, *ask.values)]
        rows, more = found[:limit], len(found) > limit
        ends = cursor_at(rows[-1].placed_at, rows[-1].order_id) if more else None
        return Rows(orders=rows, next=ends, as_of=await self.as_of())

    async def order_ids(self, after: str | None, limit: int, placed_from: datetime | None = None) -> Sequence[str]:
        query = "SELECT order_id FROM order_row WHERE order_id > $1 AND placed_at >= $3 ORDER BY order_id LIMIT $2"
        with outage():
            found = await self.pool.fetch(query, after or "", limit, placed_from or EPOCH)
        return [order_id for (order_id,) in found]


class _Question:
    """What a list is asked by: `{}` stands for a value, which is never written into the words."""

    def __init__(self) -> None:
        self.conditions: list[str] = []
        self.values: list[Any] = []

    def that(self, condition: str, *values: Any) -> None:
        numbers = range(len(self.values) + 1, len(self.values) + len(values) + 1)
        self.conditions.append(condition.format(*(f"${number}" for number in numbers)))
        self.values += values

    @property
    def where(self) -> str:
        return "WHERE " + " AND ".join(self.conditions) if self.conditions else ""


def _is_said(topic: str) -> bool:
    return topic.endswith((".events", ".roster"))


def _keyed(record: Record, order_id: str) -> Record:
    return Record(
        *(record.topic, record.partition, record.offset, record.timestamp),
        *(order_id.encode(), record.value, record.headers),
    )
