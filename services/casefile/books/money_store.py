"""The money of all orders as the case file keeps it in PostgreSQL, in the commit of what it follows from."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from services.casefile.books.money import (
    ASKED_OF_MONEY,
    SAID_OF_MONEY,
    Books,
    LedgerEntry,
    MoneyMovement,
    books,
    concerns_money,
)
from shared.kernel.policies import Policies
from shared.kernel.ports import REPLIES, Followed, Input, Record, StoredEvent

FOLDED_AT_ONCE_MAX = 100
"""Orders; who asks over HTTP is not to wait for a batch."""
SAID = f"""
SELECT order_id, topic, partition, "offset", timestamp, id, type, time, causation_id, value FROM record
WHERE order_id = ANY ($1::text[])
    AND (topic = '{SAID_OF_MONEY}' AND type !~ '{REPLIES}' OR topic = 'order.events' AND type = ANY ($2::text[]))
"""
ASKED = sorted(type_ for _, type_ in ASKED_OF_MONEY)
_ENTRY = ", ".join(LedgerEntry._fields)
# What is booked already stays as it is; of what is new the day's sums follow, in an order that all share.
BOOK = f"""
WITH booked AS (
    INSERT INTO ledger_entry ({_ENTRY})
    SELECT {_ENTRY} FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[],
        $7::text[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[]) AS new ({_ENTRY})
    ON CONFLICT (entry_id) DO NOTHING
    RETURNING *
), posted AS (
    SELECT (booked_at AT TIME ZONE 'UTC')::date AS day, currency, account, came_minor, left_minor
    FROM booked CROSS JOIN LATERAL (
        VALUES (to_account, amount_minor, 0), (from_account, 0, amount_minor)
    ) AS posting (account, came_minor, left_minor)
)
INSERT INTO ledger_day (day, currency, account_class, shard, came_minor, left_minor, entries)
SELECT day, currency, class, $14::int, sum(came_minor), sum(left_minor), count(*)
FROM posted CROSS JOIN LATERAL (
    SELECT CASE split_part(account, ':', 1) WHEN 'buyer' THEN 'buyers' WHEN 'seller' THEN 'sellers'
        WHEN 'escrow' THEN 'escrow' ELSE account END AS class
) AS named
GROUP BY day, currency, class ORDER BY day, currency, class
ON CONFLICT (day, currency, account_class, shard) DO UPDATE SET
    came_minor = ledger_day.came_minor + excluded.came_minor,
    left_minor = ledger_day.left_minor + excluded.left_minor,
    entries = ledger_day.entries + excluded.entries
"""
_MOVEMENT = ", ".join(MoneyMovement._fields)
MOVE = f"""
INSERT INTO movement ({_MOVEMENT})
SELECT {_MOVEMENT} FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[],
    $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::int[], $12::text[], $13::text[],
    $14::timestamptz[], $15::timestamptz[], $16::text[], $17::json[]) AS put ({_MOVEMENT})
ON CONFLICT (order_id, settlement_id, leg) DO UPDATE
SET {", ".join(f"{name} = excluded.{name}" for name in MoneyMovement._fields[3:])}
WHERE movement.since <> excluded.since OR movement.stage <> excluded.stage
    OR movement.next_at IS DISTINCT FROM excluded.next_at OR movement.attempts <> excluded.attempts
"""
# The buyer's payment is no movement any more once it is captured, or nobody waits for it.
MOVE_NO_MORE = """
DELETE FROM movement WHERE order_id = ANY ($1::text[]) AND leg = 'capture'
    AND NOT EXISTS (
        SELECT FROM unnest($2::text[], $3::text[], $4::text[]) AS put (order_id, settlement_id, leg)
        WHERE (put.order_id, put.settlement_id, put.leg) = (movement.order_id, movement.settlement_id, movement.leg)
    )
"""
HOLD = """
INSERT INTO hold (order_id, since, cause, reason)
SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[])
ON CONFLICT (order_id) DO UPDATE SET since = excluded.since, cause = excluded.cause, reason = excluded.reason
"""
UNHOLD = "DELETE FROM hold WHERE order_id = ANY ($1::text[])"


class MoneyOfOrders:
    """Keeps the books of every order that something was said of: anew from all that was said, by whatever topic it came
    last. Comes behind the projection that keeps the records."""

    def __init__(self, policies: Callable[[], Policies]) -> None:
        self.policies = policies

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        touched: dict[int, dict[str, None]] = defaultdict(dict)
        for shard, found in inputs:
            if isinstance(found.payload, Followed) and concerns_money(found.payload.record):
                touched[shard][(found.payload.record.key or b"").decode(errors="replace")] = None
        for shard, order_ids in sorted(touched.items()):
            await self._keep(transaction, shard, sorted(order_ids))

    async def _keep(self, transaction: Any, shard: int, order_ids: Sequence[str]) -> None:
        said: dict[str, list[Record]] = defaultdict(list)
        for row in await transaction.fetch(SAID, order_ids, ASKED):
            said[row["order_id"]].append(_record(row))
        found: dict[str, Books] = {}
        for number, order_id in enumerate(order_ids, start=1):
            found[order_id] = books(order_id, said[order_id], self.policies())
            if number % FOLDED_AT_ONCE_MAX == 0:
                await asyncio.sleep(0)
        if entries := [one for kept in found.values() for one in kept.entries]:
            await transaction.execute(BOOK, *zip(*entries, strict=True), shard)
        moved = [one for kept in found.values() for one in kept.movements]
        if moved:
            rows = [(*one[:-1], to_json(one.review_says).decode()) for one in moved]
            await transaction.execute(MOVE, *zip(*rows, strict=True))
        places = [one[:3] for one in moved]
        await transaction.execute(MOVE_NO_MORE, order_ids, *(zip(*places, strict=True) if places else ([], [], [])))
        holds = [(order_id, *_hold(kept)) for order_id, kept in found.items() if kept.hold]
        if holds:
            await transaction.execute(HOLD, *zip(*holds, strict=True))
        await transaction.execute(UNHOLD, [order_id for order_id, kept in found.items() if not kept.hold])


def _hold(kept: Books) -> tuple[datetime, str, str]:
    assert kept.hold is not None
    return kept.hold.since, kept.hold.cause, kept.hold.reason


def _record(row: Mapping[str, Any]) -> Record:
    """With the headers that the books are told by."""
    said = {"ce_id": row["id"], "ce_type": row["type"], "ce_time": row["time"], "ce_causationid": row["causation_id"]}
    headers = [(name, value.encode()) for name, value in said.items() if value is not None]
    return Record(
        row["topic"],
        row["partition"],
        row["offset"],
        row["timestamp"],
        row["order_id"].encode(),
        row["value"],
        headers,
    )
