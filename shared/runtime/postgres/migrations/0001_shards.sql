-- The kernel's tables, one set in every service's own schema.

CREATE TABLE shard (
    shard     integer PRIMARY KEY,
    epoch     bigint NOT NULL DEFAULT 0,  -- the fence: whoever claimed last; every commit names it
    owner     text,
    position  bigint NOT NULL DEFAULT 0,  -- of the last row of event
    sequence  bigint NOT NULL DEFAULT 0,  -- of the last published row
    published bigint NOT NULL DEFAULT 0   -- position up to which all is on the bus; may lag, never leads
) WITH (fillfactor = 10);

CREATE TABLE member (
    id   text PRIMARY KEY,
    pid  integer NOT NULL,                -- of the database session: when it is gone, so is the member
    seen timestamptz NOT NULL
);

CREATE TABLE cursor (
    shard       integer NOT NULL,
    topic       text    NOT NULL,
    next_offset bigint  NOT NULL,
    time        bigint  NOT NULL,         -- latest append time seen, ms
    PRIMARY KEY (shard, topic)
) WITH (fillfactor = 10);

CREATE TABLE mark (
    shard    integer NOT NULL,
    topic    text    NOT NULL,
    source   text    NOT NULL,
    sequence bigint  NOT NULL,            -- highest ce_sequence handled
    PRIMARY KEY (shard, topic, source)
) WITH (fillfactor = 10);

-- Streams and outbox in one: a row belongs to an order's stream, and with a topic it is published, in order.
CREATE TABLE event (
    shard      integer NOT NULL,
    position   bigint  NOT NULL,
    sequence   bigint,
    topic      text,
    partition  integer NOT NULL,
    key        bytea,                     -- where it is not the order
    order_id   text,                      -- null: a dead letter
    type       text    NOT NULL,
    time       bigint  NOT NULL,          -- of the input that caused it, ms (R0)
    command_id text,                      -- on the first row of a command's answer
    digest     bytea,
    headers    bytea   NOT NULL,
    data       bytea,
    PRIMARY KEY (shard, position)
);
CREATE INDEX event_stream ON event (shard, order_id, position) WHERE order_id IS NOT NULL;

-- Records of orders whose handling raised, in order of arrival.
CREATE TABLE parked (
    shard     integer NOT NULL,
    number    bigint  GENERATED ALWAYS AS IDENTITY,
    order_id  text    NOT NULL,
    topic     text    NOT NULL,
    partition integer NOT NULL,
    "offset"  bigint  NOT NULL,
    timestamp bigint  NOT NULL,
    key       bytea,
    value     bytea,
    headers   bytea   NOT NULL,
    PRIMARY KEY (shard, number)
);
