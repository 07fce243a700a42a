"""What makes a running service of a decider: the shard loop, its doors to Kafka and PostgreSQL, the process around
it."""
