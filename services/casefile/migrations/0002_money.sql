-- The money of all orders, from the topics alone (money.py): every entry of the books, and where each movement stands.

CREATE TABLE ledger_entry (
    entry_id           text PRIMARY KEY,   -- the event's that it follows from
    order_id           text NOT NULL,
    event_type         text NOT NULL,
    booked_at          timestamptz NOT NULL,
    currency           text NOT NULL,
    from_account       text NOT NULL,
    to_account         text NOT NULL,
    amount_minor       bigint NOT NULL CHECK (amount_minor > 0),
    settlement_id      text,
    leg                text,
    payment_id         text,               -- the buyer's payment
    payment_key        text,               -- the movement at the provider
    provider_reference text
);
CREATE INDEX ledger_entry_booked ON ledger_entry (booked_at, entry_id);
CREATE INDEX ledger_entry_order ON ledger_entry (order_id);
CREATE INDEX ledger_entry_from ON ledger_entry (from_account, booked_at, entry_id);
CREATE INDEX ledger_entry_to ON ledger_entry (to_account, booked_at, entry_id);
CREATE INDEX ledger_entry_reference ON ledger_entry (provider_reference) WHERE provider_reference IS NOT NULL;
CREATE INDEX ledger_entry_payment ON ledger_entry (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX ledger_entry_key ON ledger_entry (payment_key) WHERE payment_key IS NOT NULL;

-- What each shard's entries of a day come to, by class of account: a balance is a sum over days, not over entries.
-- A row belongs to one shard, so that two shards never wait for each other.
CREATE TABLE ledger_day (
    day           date NOT NULL,           -- UTC
    currency      text NOT NULL,
    account_class text NOT NULL,
    shard         integer NOT NULL,
    came_minor    numeric NOT NULL,        -- arrived at these accounts
    left_minor    numeric NOT NULL,        -- left them
    entries       bigint NOT NULL,
    PRIMARY KEY (day, currency, account_class, shard)
) WITH (fillfactor = 50);

CREATE TABLE movement (
    order_id           text NOT NULL,
    settlement_id      text NOT NULL,
    leg                text NOT NULL,
    stage              text NOT NULL,
    amount_minor       bigint NOT NULL,
    currency           text NOT NULL,
    requested_at       timestamptz NOT NULL,
    since              timestamptz NOT NULL,
    due_by             timestamptz NOT NULL,
    next_at            timestamptz,        -- when a clock of it runs out
    attempts           integer NOT NULL,
    payment_key        text,
    provider_reference text,
    overdue_since      timestamptz,
    review_since       timestamptz,
    review_reason      text,
    review_says        json NOT NULL,
    PRIMARY KEY (order_id, settlement_id, leg)
);
CREATE INDEX movement_open ON movement (requested_at) WHERE stage <> 'settled';
CREATE INDEX movement_key ON movement (payment_key) WHERE payment_key IS NOT NULL;

-- Orders of which no money is sent (R63).
CREATE TABLE hold (
    order_id text PRIMARY KEY,
    since    timestamptz NOT NULL,
    cause    text NOT NULL,
    reason   text NOT NULL
);
