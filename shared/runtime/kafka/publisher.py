"""Publisher of the shard loop on Apache Kafka: aiokafka's idempotent producer, partitions always named."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.topics import BATCH_BYTES_MAX, DEAD_LETTER_BYTES_MAX
from shared.kernel import codec
from shared.kernel.ports import Outage, StoredEvent
from shared.runtime.kafka import internals
from shared.runtime.kafka.connection import CLIENT_ERRORS

log = logging.getLogger(__name__)

WAVE_TIMEOUT_SECONDS = 30.0


class KafkaPublisher:
    """One wave at a time, and in it one batch in flight per topic and partition: n + 1 is never sent before n is
    acknowledged. After any failure the producer is thrown away: its sequence numbers cannot be trusted any more."""

    def __init__(self, connection: Mapping[str, Any], service: str, prefix: str) -> None:
        self.connection, self.service, self.prefix = connection, service, prefix
        self._producer: AIOKafkaProducer | None = None
        self._wave = asyncio.Lock()
        self._discarding: set[asyncio.Task[None]] = set()

    async def send(self, events: Sequence[StoredEvent]) -> None:
        async with self._wave:
            try:
                async with asyncio.timeout(WAVE_TIMEOUT_SECONDS):
                    producer = self._producer or await self._connected()
                    waiting = [_Outgoing(event, self.service, self.prefix) for event in events]
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
    """An event as it goes out."""

    __slots__ = ("headers", "key", "place", "size", "value")

    def __init__(self, event: StoredEvent, service: str, prefix: str) -> None:
        self.place = (prefix + (event.topic or ""), event.partition)
        self.key, self.value, self.headers = codec.published(event, service)
        self.size = codec.size_of(self.headers) + len(self.value or b"")

    def into(self, batch: Any) -> bool:
        return batch.append(timestamp=None, key=self.key, value=self.value, headers=self.headers) is not None


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        internals.abandon(producer)
        await asyncio.wait_for(producer.stop(), 3)
    except Exception:
        log.debug("a discarded producer did not stop cleanly", exc_info=True)
