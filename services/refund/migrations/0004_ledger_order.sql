-- The platform's part of what was released (R69): captured = escrow + refunded + paid out + commission. And what came
-- back of a movement is an entry the other way (R62): from a buyer, too, and no capture.

CREATE OR REPLACE VIEW ledger_order AS
SELECT
    order_id,
    currency,
    coalesce(
        -sum(amount_minor) FILTER (WHERE account LIKE 'buyer:%' AND event_type = 'refund.captured.v1'), 0
    )::bigint AS captured_minor,
    coalesce(sum(amount_minor) FILTER (WHERE account LIKE 'escrow:%'), 0)::bigint AS escrow_minor,
    coalesce(
        sum(amount_minor) FILTER (WHERE account LIKE 'buyer:%' AND event_type <> 'refund.captured.v1'), 0
    )::bigint AS refunded_minor,
    coalesce(sum(amount_minor) FILTER (WHERE account LIKE 'seller:%'), 0)::bigint AS paid_out_minor,
    coalesce(sum(amount_minor) FILTER (WHERE account = 'platform:commission'), 0)::bigint AS commission_minor
FROM ledger_entry
JOIN ledger_posting USING (entry_id)
GROUP BY order_id, currency;
