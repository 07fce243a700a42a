-- The double-entry ledger (R22). An entry is one event's movement of money and has that event's id, so it cannot be
-- posted twice; it is one pair of postings that sum to zero. The database itself refuses anything else, and any change.

CREATE TABLE ledger_entry (
    entry_id text PRIMARY KEY,
    order_id text NOT NULL,
    event_type text NOT NULL,
    booked_at timestamptz NOT NULL,
    currency text NOT NULL
);

CREATE INDEX ledger_entry_order ON ledger_entry (order_id);

CREATE TABLE ledger_posting (
    entry_id text NOT NULL,
    side smallint NOT NULL CHECK (side IN (-1, 1)),
    account text NOT NULL,
    amount_minor bigint NOT NULL CHECK (sign(amount_minor) = side),
    PRIMARY KEY (entry_id, side)
);

-- Once per statement, for all its rows: a foreign key and a deferred constraint would look at each row by itself.
-- An entry and its postings are therefore inserted by one statement.
-- The planner is held to the primary keys: a plan made while the tables were small would otherwise read them whole.
CREATE FUNCTION ledger_refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    unbalanced text;
BEGIN
    SELECT inserted.entry_id INTO unbalanced
    FROM (SELECT DISTINCT entry_id FROM new_rows) AS inserted
    LEFT JOIN ledger_entry USING (entry_id)
    LEFT JOIN ledger_posting USING (entry_id)
    GROUP BY inserted.entry_id, ledger_entry.entry_id
    HAVING ledger_entry.entry_id IS NULL OR count(side) <> 2 OR sum(amount_minor) <> 0
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger entry % is not one pair of postings that sum to zero', unbalanced
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER balanced AFTER INSERT ON ledger_entry REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_unbalanced();
CREATE TRIGGER balanced AFTER INSERT ON ledger_posting REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_unbalanced();

CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is only ever added to: no % on %', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER unchanged BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER unchanged BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_posting
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- Where the money of an order is: captured = escrow + refunded + paid out, since every entry sums to zero.
CREATE VIEW ledger_order AS
SELECT
    order_id,
    currency,
    coalesce(-sum(amount_minor) FILTER (WHERE account LIKE 'buyer:%' AND side = -1), 0)::bigint AS captured_minor,
    coalesce(sum(amount_minor) FILTER (WHERE account LIKE 'escrow:%'), 0)::bigint AS escrow_minor,
    coalesce(sum(amount_minor) FILTER (WHERE account LIKE 'buyer:%' AND side = 1), 0)::bigint AS refunded_minor,
    coalesce(sum(amount_minor) FILTER (WHERE account LIKE 'seller:%'), 0)::bigint AS paid_out_minor
FROM ledger_entry
JOIN ledger_posting USING (entry_id)
GROUP BY order_id, currency;
