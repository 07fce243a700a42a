-- One endpoint that is slow delays its own webhooks alone: each role has one, so each role's wait for themselves. The column
-- follows from what is stored, so that a process of the version before may go on writing rows.
ALTER TABLE delivery ADD COLUMN queue text GENERATED ALWAYS AS (
    CASE channel WHEN 'webhook' THEN 'webhook/' || (letter -> 'recipient' ->> 'role') ELSE channel END
) STORED;
DROP INDEX delivery_next;
CREATE INDEX delivery_next ON delivery (shard, queue, next_attempt_at);
