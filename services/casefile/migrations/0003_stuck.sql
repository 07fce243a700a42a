-- What does not go on by itself, from the topics alone.

CREATE TABLE dead_letter (
    topic           text NOT NULL,
    partition       integer NOT NULL,
    "offset"        bigint NOT NULL,
    at              timestamptz NOT NULL,
    order_id        text NOT NULL,
    code            text NOT NULL,          -- its reason up to the colon
    reason          text NOT NULL,
    original_topic  text NOT NULL,
    original_place  text NOT NULL,          -- partition/offset
    id              text,
    type            text,
    is_cut          boolean NOT NULL,       -- not all of the original is there
    PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX dead_letter_code ON dead_letter (code, at);
CREATE INDEX dead_letter_at ON dead_letter (at, topic, partition, "offset");

-- Orders that wait in a service, with the word that said so: what the same shard says of them after it frees them.
CREATE TABLE order_parked (
    service  text NOT NULL,
    order_id text NOT NULL,
    source   text NOT NULL,
    sequence bigint NOT NULL,
    since    timestamptz NOT NULL,
    reason   text NOT NULL,
    PRIMARY KEY (service, order_id)
);
CREATE INDEX order_order_parked ON order_parked (order_id);

CREATE TABLE undelivered (
    order_id    text NOT NULL,
    delivery_id text NOT NULL,
    since       timestamptz NOT NULL,
    problem     text NOT NULL,
    channel     text NOT NULL,
    recipient   text NOT NULL,             -- role:id
    template    text NOT NULL,
    endpoint_id text,
    PRIMARY KEY (order_id, delivery_id)
);

-- Cases that nobody has.
CREATE TABLE empty_seat (
    order_id    text NOT NULL,
    dispute_id  text NOT NULL,
    since       timestamptz NOT NULL,
    round       integer NOT NULL,
    is_overdue  boolean NOT NULL,          -- its time ran out, under this mediator or under none
    mediator_id text,
    PRIMARY KEY (order_id, dispute_id)
);

-- One list of it all but dead letters, of which operators have dealt with some. `key` tells apart what is of one kind
-- and instant. A clock of five minutes ago should have rung, a seat of a minute ago should be taken.
CREATE VIEW stuck AS
SELECT 'parked' AS kind, order_id, since, service || '/' || order_id AS key, reason,
    json_build_object('service', service) AS about
FROM order_parked
UNION ALL
SELECT 'manual_review', order_id, review_since, order_id || '/' || settlement_id || '/' || leg, review_reason,
    json_build_object('settlement_id', settlement_id, 'leg', leg, 'amount_minor', amount_minor, 'currency', currency,
        'payment_key', payment_key, 'attempts', attempts, 'provider', review_says)
FROM movement WHERE review_since IS NOT NULL
UNION ALL
SELECT 'overdue_leg', order_id, overdue_since, order_id || '/' || settlement_id || '/' || leg, stage,
    json_build_object('settlement_id', settlement_id, 'leg', leg, 'amount_minor', amount_minor, 'currency', currency,
        'due_by', due_by, 'attempts', attempts)
FROM movement WHERE overdue_since IS NOT NULL AND review_since IS NULL
UNION ALL
SELECT 'on_hold', order_id, since, order_id, cause, json_build_object('said', reason)
FROM hold
UNION ALL
SELECT CASE WHEN is_overdue THEN 'overdue_mediation' ELSE 'empty_seat' END, order_id, since,
    order_id || '/' || dispute_id, CASE WHEN is_overdue THEN 'mediator_due' ELSE 'nobody_assigned' END,
    json_build_object('dispute_id', dispute_id, 'round', round, 'mediator_id', mediator_id)
FROM empty_seat WHERE is_overdue OR since < now() - interval '1 minute'
UNION ALL
SELECT 'undelivered', order_id, since, order_id || '/' || delivery_id, problem,
    json_build_object('delivery_id', delivery_id, 'channel', channel, 'recipient', recipient, 'template', template,
        'endpoint_id', endpoint_id)
FROM undelivered
UNION ALL
SELECT 'overdue_alarm', order_id, due_at, 'order/' || order_id, 'order', json_build_object('due_at', due_at)
FROM order_row WHERE due_at < now() - interval '5 minutes'
UNION ALL
SELECT 'overdue_alarm', order_id, due_at, 'case/' || order_id || '/' || dispute_id, 'case',
    json_build_object('dispute_id', dispute_id, 'due_at', due_at, 'clock', row ->> 'due_what')
FROM case_row WHERE is_open AND due_at < now() - interval '5 minutes'
UNION ALL
SELECT 'overdue_alarm', order_id, next_at, 'leg/' || order_id || '/' || settlement_id || '/' || leg, 'refund',
    json_build_object('settlement_id', settlement_id, 'leg', leg, 'due_at', next_at)
FROM movement WHERE next_at < now() - interval '5 minutes';

CREATE INDEX order_row_due ON order_row (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX movement_review ON movement (review_since) WHERE review_since IS NOT NULL;
CREATE INDEX movement_overdue ON movement (overdue_since) WHERE overdue_since IS NOT NULL;
CREATE INDEX movement_next ON movement (next_at) WHERE next_at IS NOT NULL;
