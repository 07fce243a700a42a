-- What is said to one person alone is no part of an order's life: it is not read when the order is. Whether a command was
-- answered is asked by what it is known by: stream, actor and command id together, each behind its length in bytes, as a
-- digest (kernel/stream.py).
ALTER TABLE event ADD COLUMN asked bytea;  -- on the first row of a command's answer

UPDATE event SET asked = substring(sha256(convert_to(
    octet_length(order_id) || ':' || order_id
    || octet_length(coalesce(actor ->> 'role', '')) || ':' || coalesce(actor ->> 'role', '')
    || octet_length(coalesce(actor ->> 'id', '')) || ':' || coalesce(actor ->> 'id', '')
    || octet_length(command_id) || ':' || command_id, 'UTF8')) FROM 1 FOR 16)
FROM (
    SELECT shard, position, CASE WHEN jsonb_typeof(data -> 'actor') = 'object' THEN data -> 'actor' END AS actor
    FROM (
        -- What people write may have a character that jsonb cannot keep; an actor's id never has.
        SELECT shard, position, replace(convert_from(data, 'UTF8'), '\u0000', '\u0001')::jsonb AS data FROM event
        WHERE command_id IS NOT NULL AND digest IS NOT NULL AND order_id IS NOT NULL
    ) AS answer
) AS known
WHERE event.shard = known.shard AND event.position = known.position;

CREATE INDEX event_answer ON event (shard, asked, digest) WHERE asked IS NOT NULL;
DROP INDEX event_stream;
CREATE INDEX event_history ON event (shard, order_id, position)
WHERE order_id IS NOT NULL AND type !~ '[.](rejected|repeated|resumed)[.]v[0-9]+$';
