"""The ledger and the operators' queue in PostgreSQL."""

from collections.abc import Sequence
from typing import Any

from services.refund.ledger import BookedEntry
from services.refund.projection import Review, ReviewPlace

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
WAITS = """
INSERT INTO review (order_id, settlement_id, leg, since, reason, amount_minor, currency, due_by, payment_key,
    provider_said, provider_amount_minor, provider_currency, provider_reference, code)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::bigint[], $7::text[],
    $8::timestamptz[], $9::text[], $10::text[], $11::bigint[], $12::text[], $13::text[], $14::text[])
ON CONFLICT (order_id, settlement_id, leg) DO UPDATE SET reason = excluded.reason, amount_minor = excluded.amount_minor,
    due_by = excluded.due_by, payment_key = excluded.payment_key, provider_said = excluded.provider_said,
    provider_amount_minor = excluded.provider_amount_minor, provider_currency = excluded.provider_currency,
    provider_reference = excluded.provider_reference, code = excluded.code
"""
WAITS_NO_MORE = """
DELETE FROM review USING unnest($1::text[], $2::text[], $3::text[]) AS gone (order_id, settlement_id, leg)
WHERE (review.order_id, review.settlement_id, review.leg) = (gone.order_id, gone.settlement_id, gone.leg)
"""


class PostgresLedgerTable:
    async def add(self, transaction: Any, booked: Sequence[BookedEntry]) -> None:
        rows = [(one.id, one.order_id, one.event_type, one.booked_at, *one.entry) for one in booked]
        await transaction.execute(BOOK, *zip(*rows, strict=True))


class PostgresReviewTable:
    async def change(self, transaction: Any, put: Sequence[Review], gone: Sequence[ReviewPlace]) -> None:
        if put:
            rows = [(*place, *facts) for place, *facts in put]
            await transaction.execute(WAITS, *zip(*rows, strict=True))
        if gone:
            await transaction.execute(WAITS_NO_MORE, *zip(*gone, strict=True))
