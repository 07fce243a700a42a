-- The mail to be sent. A row is written in the commit that queues its letter and deleted in the one that says how it
-- went; in between an attempt that failed moves it. The letter holds an e-mail address: this table is for the service alone.
CREATE TABLE delivery (
    shard           integer     NOT NULL,
    delivery_id     text        NOT NULL,
    attempts        integer     NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    correlation_id  text        NOT NULL,
    letter          json        NOT NULL,
    PRIMARY KEY (shard, delivery_id)
);
CREATE INDEX delivery_next ON delivery (shard, next_attempt_at);
