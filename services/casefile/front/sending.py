"""How a command gets onto the bus: as any gateway sends one, a CloudEvent in binary mode on its order's partition."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import UnknownTopicOrPartitionError

from schemas.topics import RECORD_BYTES_MAX
from schemas.wire import Command
from services.casefile.front.uttering import on_the_wire
from shared.kernel.ports import Headers, Record
from shared.runtime.kafka.connection import CLIENT_ERRORS, outage
from shared.runtime.partitions import partition_of

SOURCE = "recourse/casefile"
TRACE = ("traceparent", "tracestate")
TRACE_BYTES_MAX = 512
"""A trace of more is nobody's."""
SEND_SECONDS, STOP_SECONDS = 10.0, 3.0


def headers(command: Command, command_id: str, trace: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """Of the record."""
    attributes = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": command_id,
        "ce_type": command.type,
        "ce_source": SOURCE,
    }
    going_along = {name: trace[name] for name in TRACE if 0 < len(trace.get(name, "")) <= TRACE_BYTES_MAX}
    return [(name, text.encode()) for name, text in (attributes | going_along).items()]


class KafkaSender:
    """One idempotent producer, made when it is first needed and anew when one has failed."""

    def __init__(self, connection: Mapping[str, Any], prefix: str) -> None:
        self.connection, self.prefix = connection, prefix
        self._producer: AIOKafkaProducer | None = None
        self._making = asyncio.Lock()
        self._stopping: set[asyncio.Task[None]] = set()

    async def send(self, command: Command, command_id: str, trace: Mapping[str, str]) -> None:
        """Until all copies that count have it. Raises Outage."""
        key, topic = command.key.encode(), f"{self.prefix}{command.topic}"
        await self._put(topic, on_the_wire(command), key, None, headers(command, command_id, trace))

    async def write(self, record: Record) -> None:
        """To its own partition, as it is; offset and timestamp are the broker's. Raises Outage."""
        await self._put(f"{self.prefix}{record.topic}", record.value, record.key, record.partition, record.headers)

    async def _put(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int | None, headers: Headers
    ) -> None:
        """`partition`: None: where its key belongs."""
        with outage():
            async with asyncio.timeout(SEND_SECONDS):
                producer = await self._connected()
                partitions = await producer.partitions_for(topic)
                if not partitions:
                    raise UnknownTopicOrPartitionError
                if partition is None:
                    partition = partition_of(key or b"", len(partitions))
                try:
                    await producer.send_and_wait(topic, value, key, partition, headers=list(headers))
                except BaseException:
                    self._forget(producer)
                    raise

    async def _connected(self) -> AIOKafkaProducer:
        async with self._making:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self.connection,
                    enable_idempotence=True,
                    acks="all",
                    max_request_size=RECORD_BYTES_MAX,
                )
                try:
                    await producer.start()
                except BaseException:
                    self._forget(producer)
                    raise
                self._producer = producer
            return self._producer

    def _forget(self, producer: AIOKafkaProducer) -> None:
        """Its numbers cannot be trusted any more. Stopping it while its broker is away may hang: on its own."""
        if self._producer is producer:
            self._producer = None
        self._stopping.add(task := asyncio.create_task(_stopped(producer)))
        task.add_done_callback(self._stopping.discard)

    async def stop(self) -> None:
        if self._producer is not None:
            self._forget(self._producer)
        if self._stopping:
            await asyncio.wait(self._stopping, timeout=STOP_SECONDS)


async def _stopped(producer: AIOKafkaProducer) -> None:
    with suppress(*CLIENT_ERRORS):
        async with asyncio.timeout(STOP_SECONDS):
            await producer.stop()
