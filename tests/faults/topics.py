"""Reading topics from their beginning to where they end now."""

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.kernel import codec


async def read_all(bootstrap_servers: str, topics: Iterable[str], partitions: int) -> list[ConsumerRecord]:
    """In order within each partition."""
    places = [TopicPartition(topic, partition) for topic in topics for partition in range(partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning(*places)
        found: list[ConsumerRecord] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += records
        return [record for record in found if record.offset < ends[TopicPartition(record.topic, record.partition)]]
    finally:
        await consumer.stop()


def header(record: ConsumerRecord, name: str) -> str:
    """Empty where there is none."""
    return codec.header(record.headers, name) or ""
