-- What moved beyond what was to be moved (R62): captured = escrow + refunded + paid out + commission + excess, which is
-- below 0 where the platform has advanced it, until it comes back.

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
    coalesce(sum(amount_minor) FILTER (WHERE account = 'platform:commission'), 0)::bigint AS commission_minor,
    coalesce(sum(amount_minor) FILTER (WHERE account = 'platform:excess'), 0)::bigint AS excess_minor
FROM ledger_entry
JOIN ledger_posting USING (entry_id)
GROUP BY order_id, currency;
