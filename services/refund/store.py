"""The ledger in PostgreSQL."""

from collections.abc import Sequence
from typing import Any

from services.refund.ledger import BookedEntry

BOOK = """
WITH booked AS (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::bigint[]
    ) AS entry(entry_id, order_id, event_type, booked_at, currency, from_account, to_account, amount_minor)
), entries AS (
    INSERT INTO ledger_entry (entry_id, order_id, event_type, booked_at, currency)
    SELECT entry_id, order_id, event_type, booked_at, currency FROM booked
)
INSERT INTO ledger_posting (entry_id, side, account, amount_minor)
SELECT entry_id, side, account, side * amount_minor
FROM booked CROSS JOIN LATERAL (VALUES (-1, from_account), (1, to_account)) AS pair(side, account)
"""


class PostgresLedgerTable:
    async def add(self, transaction: Any, booked: Sequence[BookedEntry]) -> None:
        rows = [(one.id, one.order_id, one.event_type, one.booked_at, *one.entry) for one in booked]
        await transaction.execute(BOOK, *zip(*rows, strict=True))
