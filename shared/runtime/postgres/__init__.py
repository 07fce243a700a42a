"""The store of the shard loop on PostgreSQL."""
