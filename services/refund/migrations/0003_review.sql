-- Money that waits for an operator (R62): one row from the first word that needs him until it has come to an end.

CREATE TABLE review (
    order_id text NOT NULL,
    settlement_id text NOT NULL,
    leg text NOT NULL,
    since timestamptz NOT NULL,
    reason text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    due_by timestamptz NOT NULL,
    payment_key text,
    provider_said text,
    provider_amount_minor bigint,
    provider_currency text,
    provider_reference text,
    code text,
    PRIMARY KEY (order_id, settlement_id, leg)
);

CREATE INDEX review_since ON review (since);

-- What waited before there was a queue. That the provider had settled something twice was said of a leg that was done
-- and stayed so: it waits now, too.
INSERT INTO review (order_id, settlement_id, leg, since, reason, amount_minor, currency, due_by)
SELECT order_id, data->>'settlement_id', data->>'leg', to_timestamp(time / 1000.0), data->>'reason',
    (data->>'amount_minor')::bigint, data->>'currency', (data->>'due_by')::timestamptz
FROM (
    SELECT DISTINCT ON (order_id, data->'settlement_id', data->'leg') order_id, time, type, data
    FROM (
        SELECT order_id, position, time, type, convert_from(data, 'UTF8')::jsonb AS data
        FROM event WHERE type LIKE 'refund.%' AND topic = 'refund.events'
    ) AS said
    WHERE data ? 'stage' AND type <> 'refund.overdue.v1'
    ORDER BY order_id, data->'settlement_id', data->'leg', position DESC
) AS newest
WHERE type = 'refund.review_needed.v1';
