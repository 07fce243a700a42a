"""Source and publisher of the shard loop on Apache Kafka: FastStream's batch subscriber over aiokafka's consumer, and
aiokafka's idempotent producer.

Every option that loses or loops money by default is set here, in one place: no automatic acknowledgement, no replies to
`reply_to` headers, earliest offsets, no topics created on the fly, partitions always named.
"""

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka import TopicPartition as Subscribed
from faststream.kafka.message import KafkaMessage
from faststream.kafka.security import parse_security
from faststream.security import SASLScram512

from schemas.topics import BATCH_BYTES_MAX, DEAD_LETTER_BYTES_MAX, consumer_group
from shared import codec, records
from shared.ports import Outage, Record, Row
from shared.settings import Settings

log = logging.getLogger(__name__)

POLL_MS = 5
"""How long FastStream waits for records, and sleeps when there were none; more than this is latency."""
FETCH_MAX_WAIT_MS = 100
"""A fetch that is under way when a shard is taken over is waited for: no longer than this."""
ANSWER_SECONDS = 5.0
WAVE_TIMEOUT_SECONDS = 30.0
CLIENT_ERRORS = (KafkaError, OSError, TimeoutError)

records.install()


def security(settings: Settings) -> SASLScram512 | None:
    """Who we are for the broker, and whom we take for it."""
    if settings.kafka_username is None or settings.kafka_password is None:
        return None
    trusted = ssl.create_default_context(cafile=settings.kafka_ca_file)
    return SASLScram512(settings.kafka_username, settings.kafka_password.get_secret_value(), ssl_context=trusted)


def connection(settings: Settings) -> dict[str, Any]:
    """The options of aiokafka by which its clients find the broker."""
    return {"bootstrap_servers": settings.kafka_bootstrap_servers, **parse_security(security(settings))}


class KafkaSource:
    """Assigns itself every partition and keeps those it does not own paused: who owns what is the lease's matter."""

    def __init__(
        self, broker: KafkaBroker, service: str, topics: Sequence[str], partitions: int, prefix: str, batch_max: int
    ) -> None:
        self.topics, self.partitions, self.prefix = topics, partitions, prefix
        self._batches: asyncio.Queue[Sequence[Any]] = asyncio.Queue(maxsize=1)
        self._receiving = True
        self.subscriber = broker.subscriber(
            partitions=[
                Subscribed(prefix + topic, shard, declare=False) for topic in topics for shard in range(partitions)
            ],
            group_id=consumer_group(service, prefix),
            batch=True,
            max_records=batch_max,
            batch_timeout_ms=POLL_MS,
            fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            isolation_level="read_committed",  # a command in a transaction that was aborted was never given
            no_reply=True,
            parser=_as_it_came,
            decoder=_raw,
        )

    async def receive(self, batch: Sequence[Any]) -> None:
        """The application's handler: hands the batch over, and waits while another one waits (back-pressure)."""
        if self._receiving:
            await self._batches.put(batch)

    def stop_receiving(self) -> None:
        """Nobody takes batches any more: whoever waits to hand one over is let go. What it held is read again."""
        self._receiving = False
        while not self._batches.empty():
            self._batches.get_nowait()

    @property
    def consumer(self) -> AIOKafkaConsumer:
        return self.subscriber.consumer

    def pause_all(self) -> None:
        """Right after the start, before anything is owned; what slipped through is dropped by the loop."""
        self.consumer.pause(*self.consumer.assignment())

    async def take(self, wait: float) -> Sequence[Record]:
        try:
            async with asyncio.timeout(wait):
                batch = await self._batches.get()
        except TimeoutError:
            return ()
        cut = len(self.prefix)
        return [Record(r.topic[cut:], r.partition, r.offset, r.timestamp, r.key, r.value, r.headers) for r in batch]

    def resume(self, shard: int, offsets: Mapping[str, int]) -> None:
        for topic in self.topics:
            place = TopicPartition(self.prefix + topic, shard)
            self.consumer.seek(place, offsets.get(topic, 0))
            self.consumer.resume(place)

    def pause(self, shards: Sequence[int]) -> None:
        self.consumer.pause(*(TopicPartition(self.prefix + topic, shard) for topic in self.topics for shard in shards))

    async def reach(self, shards: Sequence[int]) -> dict[tuple[str, int], tuple[int, int]]:
        """By (topic, shard): how far we have fetched, and where the log ends by the broker's own word.

        Raises one of CLIENT_ERRORS when it does not answer; asks even if there are no shards to ask for.
        """
        places = [TopicPartition(self.prefix + topic, shard) for topic in self.topics for shard in shards]
        async with asyncio.timeout(ANSWER_SECONDS):
            positions = {place: await self.consumer.position(place) for place in places}
            ends = await self.consumer.end_offsets(places or [TopicPartition(self.prefix + self.topics[0], 0)])
        cut = len(self.prefix)
        return {(place.topic[cut:], place.partition): (positions[place], ends[place]) for place in places}

    async def tell_offsets(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """For lag tools alone; the truth is in the database."""
        if offsets:
            await self.consumer.commit(
                {TopicPartition(self.prefix + topic, shard): offset for (topic, shard), offset in offsets.items()}
            )


async def _as_it_came(batch: tuple[Any, ...]) -> KafkaMessage:
    nobody: Any = None  # the consumer a message would acknowledge itself with: here nothing is acknowledged that way
    return KafkaMessage(raw_message=batch, body=b"", consumer=nobody, correlation_id="-", message_id="-")


async def _raw(message: Any) -> Any:
    return message.raw_message


class KafkaPublisher:
    """One wave at a time, and in it one batch in flight per topic and partition: n + 1 is never sent before n is
    acknowledged. After any failure the producer is thrown away: its sequence numbers cannot be trusted any more."""

    def __init__(self, connection: Mapping[str, Any], prefix: str) -> None:
        self.connection, self.prefix = connection, prefix
        self._producer: AIOKafkaProducer | None = None
        self._wave = asyncio.Lock()
        self._discarding: set[asyncio.Task[None]] = set()

    async def send(self, rows: Sequence[Row]) -> None:
        async with self._wave:
            try:
                async with asyncio.timeout(WAVE_TIMEOUT_SECONDS):
                    producer = self._producer or await self._connected()
                    waiting = [_Outgoing(row, self.prefix) for row in rows]
                    while waiting:
                        waiting = await self._round(producer, waiting)
            except BaseException as error:
                self._discard()
                if isinstance(error, CLIENT_ERRORS):
                    raise Outage(f"kafka: {type(error).__name__}: {error}") from error
                raise

    @staticmethod
    async def _round(producer: AIOKafkaProducer, waiting: Sequence["_Outgoing"]) -> list["_Outgoing"]:
        """Sends the next batch of every partition and returns what did not fit."""
        batches: dict[tuple[str, int], Any] = {}
        full: set[tuple[str, int]] = set()
        left = []
        for outgoing in waiting:
            place = outgoing.place
            batch = batches.get(place)
            if batch is None:
                batch = batches[place] = producer.create_batch()
            elif place not in full and batch.size() + outgoing.size > BATCH_BYTES_MAX:
                full.add(place)
            if place in full or not outgoing.into(batch):
                full.add(place)
                left.append(outgoing)
        sent = [
            await producer.send_batch(batch, topic, partition=partition)
            for (topic, partition), batch in batches.items()
        ]
        await asyncio.gather(*sent)
        return left

    async def _connected(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self.connection,
            enable_idempotence=True,
            acks="all",
            max_batch_size=DEAD_LETTER_BYTES_MAX,
            max_request_size=4 * DEAD_LETTER_BYTES_MAX,
            request_timeout_ms=10_000,
        )
        self._producer = producer
        await producer.start()
        return producer

    def _discard(self) -> None:
        """Stopping a producer whose broker is away may hang: it does so on its own."""
        producer, self._producer = self._producer, None
        if producer is not None:
            task = asyncio.create_task(_stop(producer))
            self._discarding.add(task)
            task.add_done_callback(self._discarding.discard)

    async def stop(self) -> None:
        self._discard()
        if self._discarding:
            await asyncio.wait(self._discarding, timeout=5)


class _Outgoing:
    """A row as it goes out."""

    __slots__ = ("headers", "key", "place", "size", "value")

    def __init__(self, row: Row, prefix: str) -> None:
        self.place = (prefix + (row.topic or ""), row.partition)
        self.key = row.key if row.key is not None or row.order_id is None else row.order_id.encode()
        self.value = row.data
        self.headers = row.headers
        self.size = codec.size_of(row.headers) + len(row.data or b"")

    def into(self, batch: Any) -> bool:
        return batch.append(timestamp=None, key=self.key, value=self.value, headers=self.headers) is not None


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        producer._message_accumulator.fail_all(KafkaError("abandoned"))  # or stop() waits for them for ever
        await asyncio.wait_for(producer.stop(), 3)
    except Exception:
        log.debug("a discarded producer did not stop cleanly", exc_info=True)
