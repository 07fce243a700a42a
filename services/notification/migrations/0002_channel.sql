-- Webhooks wait in the queue too. Each channel is taken from it by itself, so that one server's trouble is not another's.
ALTER TABLE delivery ADD COLUMN channel text NOT NULL DEFAULT 'email';
DROP INDEX delivery_next;
CREATE INDEX delivery_next ON delivery (shard, channel, next_attempt_at);
