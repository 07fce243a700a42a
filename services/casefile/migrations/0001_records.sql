-- All that was said, by order, and the rows of the lists. Made again from the topics at any time.

-- A record as it lies in its topic. What one of our services wrote has no headers here: they follow from the columns.
CREATE TABLE record (
    order_id       text   NOT NULL,
    topic          text   NOT NULL,
    partition      integer NOT NULL,
    "offset"       bigint NOT NULL,
    timestamp      bigint NOT NULL,   -- append time, ms
    id             text   NOT NULL,
    type           text   NOT NULL,
    time           text,              -- ce_time
    source         text,
    sequence       bigint,
    causation_id   text,
    correlation_id text,
    headers        bytea,
    value          bytea
);
CREATE INDEX record_order ON record (order_id);
CREATE INDEX record_roster ON record (topic, "offset") WHERE order_id = 'mediators';  -- it grows for ever

-- `row` is what is shown; the columns beside it are what lists are asked by.
CREATE TABLE order_row (
    order_id  text PRIMARY KEY,
    buyer     text NOT NULL,
    seller    text NOT NULL,
    status    text NOT NULL,
    placed_at timestamptz NOT NULL,
    due_at    timestamptz,
    row       json NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX order_row_placed ON order_row (placed_at DESC, order_id);
CREATE INDEX order_row_buyer ON order_row (buyer, placed_at DESC, order_id);
CREATE INDEX order_row_seller ON order_row (seller, placed_at DESC, order_id);

CREATE TABLE case_row (
    order_id      text NOT NULL,
    dispute_id    text NOT NULL,
    buyer         text NOT NULL,
    seller        text NOT NULL,
    mediator      text,
    mediators     text[] NOT NULL,     -- all who have or had it
    status        text NOT NULL,
    waiting_for   text[] NOT NULL,
    is_appeal     boolean NOT NULL,
    is_open       boolean NOT NULL,
    claimed_minor bigint NOT NULL,
    due_at        timestamptz NOT NULL, -- infinity: no clock runs
    row           json NOT NULL,
    PRIMARY KEY (order_id, dispute_id)
) WITH (fillfactor = 70);
CREATE INDEX case_row_due ON case_row (due_at, order_id, dispute_id) WHERE is_open;
CREATE INDEX case_row_mediator ON case_row (mediator, due_at, order_id, dispute_id) WHERE is_open;
CREATE INDEX case_row_had ON case_row USING gin (mediators);
CREATE INDEX case_row_buyer ON case_row (buyer, due_at, order_id, dispute_id);
CREATE INDEX case_row_seller ON case_row (seller, due_at, order_id, dispute_id);

-- Up to when all is read, by shard.
CREATE TABLE freshness (
    shard integer PRIMARY KEY,
    at    timestamptz NOT NULL
) WITH (fillfactor = 10);
