-- What waits with an order is read in slices, however much it is.
CREATE INDEX parked_order ON parked (shard, order_id, number);
