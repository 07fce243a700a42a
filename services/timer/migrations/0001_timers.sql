-- One row per timer, pending or rung: whatever lies at or before its shard's watermark has rung.
-- Ringing moves the watermark and touches no row; rows that have rung are swept in bulk.
CREATE TABLE timer (
    shard          integer NOT NULL,
    timer_id       text    COLLATE "C" NOT NULL,  -- ordered as Python orders it: heap and table must agree
    ring_at        bigint  NOT NULL,  -- ms; after due_at, and after whatever has rung already
    due_at         bigint  NOT NULL,
    name           text    NOT NULL,
    deliver_to     text    NOT NULL,
    order_id       text    NOT NULL,
    correlation_id text    NOT NULL,
    PRIMARY KEY (shard, timer_id)
);
CREATE INDEX timer_ring ON timer (shard, ring_at, timer_id);

CREATE TABLE watermark (
    shard    integer PRIMARY KEY,
    ring_at  bigint NOT NULL,
    timer_id text   COLLATE "C" NOT NULL
) WITH (fillfactor = 10);
