"""On which partition a key lies."""

from functools import lru_cache

from aiokafka.partitioner import murmur2

from shared.kernel.ports import Home


@lru_cache(maxsize=100_000)
def partition_of(key: bytes, partitions: int) -> int:
    """Where Kafka's own clients put this key (murmur2, as the Java client's)."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def home_among(partitions: int) -> Home:
    return lambda key: partition_of(key, partitions)
