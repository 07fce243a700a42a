"""Publisher of the shard loop on Apache Kafka: aiokafka's idempotent producer, partitions always named."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

from schemas.instants import from_ms
from schemas.topics import BATCH_BYTES_MAX, DEAD_LETTER_BYTES_MAX
from shared.kernel import codec
from shared.kernel.ports import Outage, Place, PlaceRefusal, StoredEvent
from shared.runtime.kafka import internals
from shared.runtime.kafka.connection import CLIENT_ERRORS

log = logging.getLogger(__name__)

SKEW_SECONDS = 60.0
CONNECT_SECONDS = 10.0
PATIENCE_SECONDS = 1.5
"""Whoever has not answered by then is connected to anew, which takes a slow broker as long as to acknowledge; what is
still not acknowledged as long after that is refused."""


class KafkaPublisher:
    """In each wave there is one batch in flight per topic and partition: n + 1 is never sent before n is acknowledged.
    Waves that are sent at the same time have a producer each. After any failure it is thrown away: its sequence numbers
    cannot be trusted any more."""

    def __init__(self, connection: Mapping[str, Any], service: str, prefix: str) -> None:
        self.connection, self.service, self.prefix = connection, service, prefix
        self._idle: AIOKafkaProducer | None = None
        self._skew: timedelta | None = None
        self._compared_at = monotonic()
        self._discarding: set[asyncio.Task[None]] = set()

    async def send(self, events: Sequence[StoredEvent]) -> Mapping[Place, PlaceRefusal]:
        waiting: dict[Place, deque[_Outgoing]] = {}
        for event in events:
            waiting.setdefault((event.topic or "", event.partition), deque()).append(_Outgoing(event, self.service))
        sent: Counter[Place] = Counter()
        refused: dict[Place, PlaceRefusal] = {}
        if not waiting:
            return {}
        producer, self._idle, well = self._idle, None, False
        try:
            producer = producer or await self._connected()
            while waiting := {place: left for place, left in waiting.items() if left and place not in refused}:
                for place, reason in (await self._round(producer, waiting, sent)).items():
                    refused[place] = PlaceRefusal(sent[place], reason)
            well = not refused
        finally:
            if producer is not None:
                (self._keep if well else self._discard)(producer)
        return refused

    async def _round(
        self, producer: AIOKafkaProducer, waiting: Mapping[Place, deque["_Outgoing"]], sent: Counter[Place]
    ) -> dict[Place, str]:
        """Sends the next batch of every place, counts what is acknowledged, and says who refuses, and why."""
        tasks = {
            asyncio.create_task(self._acknowledged(producer, place, left)): place for place, left in waiting.items()
        }
        outage: Outage | None = None
        refusing: dict[Place, str] = {}
        try:
            _, silent = await asyncio.wait(tasks, timeout=PATIENCE_SECONDS)
            if silent:
                self._keep(await self._connected())
                await asyncio.wait(silent, timeout=PATIENCE_SECONDS)
        except Outage as away:
            outage = away
        finally:
            for task in tasks:
                task.cancel()  # of those that are done nothing is taken back
        for task, place in tasks.items():
            if not task.done():
                refusing[place] = str(outage or self._why_silent(producer, place))
            elif isinstance(error := task.exception(), CLIENT_ERRORS):
                refusing[place] = f"{type(error).__name__}: {error}"
            else:
                sent[place] += task.result()
        if outage is not None and not sent:
            raise outage
        return refusing

    async def _acknowledged(self, producer: AIOKafkaProducer, place: Place, left: deque["_Outgoing"]) -> int:
        """How many: as many as one batch holds."""
        batch = producer.create_batch()
        while left and not (batch.record_count() and batch.size() + left[0].size > BATCH_BYTES_MAX):
            if not left[0].into(batch):
                break
            left.popleft()
        topic, partition = self.prefix + place[0], place[1]
        if partition not in await producer.partitions_for(topic):
            raise UnknownTopicOrPartitionError
        sent_at = datetime.now(UTC)
        appended = await (await producer.send_batch(batch, topic, partition=partition))
        self._compare(sent_at, datetime.now(UTC), appended.timestamp)
        return int(batch.record_count())

    def _compare(self, sent_at: datetime, acknowledged_at: datetime, appended_at: int) -> None:
        self._skew = from_ms(appended_at) - (sent_at + (acknowledged_at - sent_at) / 2)
        self._compared_at = monotonic()

    def skew(self) -> timedelta | None:
        """By how much the broker's clock is ahead of ours, to half of what an acknowledgement took. None: nothing was
        acknowledged within the last minute."""
        return self._skew if monotonic() - self._compared_at < SKEW_SECONDS else None

    def _why_silent(self, producer: AIOKafkaProducer, place: Place) -> str:
        cluster, at = producer.client.cluster, TopicPartition(self.prefix + place[0], place[1])
        if cluster.partitions_for_topic(at.topic) is None:
            return "there is no such topic"
        if cluster.leader_for_partition(at) in (None, -1):
            return "it has no leader"
        return f"not acknowledged within {2 * PATIENCE_SECONDS} s"

    def _keep(self, producer: AIOKafkaProducer) -> None:
        if self._idle is None:
            self._idle = producer
        else:
            self._discard(producer)

    async def _connected(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self.connection,
            enable_idempotence=True,
            acks="all",
            max_batch_size=DEAD_LETTER_BYTES_MAX,
            max_request_size=4 * DEAD_LETTER_BYTES_MAX,
            request_timeout_ms=10_000,
        )
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await producer.start()
        except BaseException as error:
            self._discard(producer)
            if isinstance(error, CLIENT_ERRORS):
                raise Outage(f"kafka: {type(error).__name__}: {error}") from error
            raise
        return producer

    def _discard(self, producer: AIOKafkaProducer) -> None:
        """Stopping a producer whose broker is away may hang: it does so on its own."""
        task = asyncio.create_task(_stop(producer))
        self._discarding.add(task)
        task.add_done_callback(self._discarding.discard)

    async def stop(self) -> None:
        if self._idle is not None:
            self._discard(self._idle)
            self._idle = None
        if self._discarding:
            await asyncio.wait(self._discarding, timeout=5)


class _Outgoing:
    """An event as it goes out. Its `size` is what it takes at most."""

    __slots__ = ("headers", "key", "size", "value")

    def __init__(self, event: StoredEvent, service: str) -> None:
        self.key, self.value, self.headers = codec.published(event, service)
        self.size = len(self.value or b"") + (
            codec.OWN_HEADERS_BYTES_MAX if event.headers is None else codec.size_of(event.headers)
        )

    def into(self, batch: Any) -> bool:
        return batch.append(timestamp=None, key=self.key, value=self.value, headers=self.headers) is not None


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        internals.abandon(producer)
        await asyncio.wait_for(producer.stop(), 3)
    except Exception:
        log.debug("a discarded producer did not stop cleanly", exc_info=True)
