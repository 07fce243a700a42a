"""Source of the shard loop on Apache Kafka: FastStream's batch subscriber over aiokafka's consumer.

Every option that loses or loops money by default is set here, in one place: no automatic acknowledgement, no replies to
`reply_to` headers, earliest offsets, no topics created on the fly, partitions always named.
"""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka import TopicPartition as Subscribed
from faststream.kafka.message import KafkaMessage

from schemas.topics import SERVICES_WRITE, consumer_group, written_by
from shared.kernel import codec
from shared.kernel.ports import GLANCED_MAX, SEARCHED_MAX, Log, Place, Record
from shared.runtime.kafka import internals
from shared.runtime.kafka.connection import outage
from shared.runtime.kafka.reading import LogReader
from shared.runtime.progress import Reach

IDLE_MS = 1_000
"""For how long it is waited for records before it is waited anew; one that comes ends it."""
APART_SECONDS = 0.005
"""Batches are handed over so far apart at least. Of what comes thick and fast more is then handled at once, and a batch
of five costs little more than a batch of one: who is busy gets through more, and sooner. Who comes alone does not wait.
"""
FETCH_MAX_WAIT_MS = 250
"""A fetch that is under way when a shard is taken over is waited for: no longer than this. A record that comes ends it:
who is idle asks so often, and every asking costs him and the broker."""
ANSWER_SECONDS = 5.0
"""For each question: where everything takes long, several in a row would never be done in one such time."""
SEARCH_SECONDS = 30.0
ENDS_KNOWN_SECONDS = 2.5
"""For so long the ends of logs are known that were asked for; an idle service asks for them each second to compare."""


class KafkaSource:
    """Assigns itself every partition and keeps those it does not own paused: who owns what is the lease's matter."""

    def __init__(
        self,
        broker: KafkaBroker,
        connection: Mapping[str, Any],
        service: str,
        topics: Sequence[str],
        partitions: int,
        prefix: str,
        batch_max: int,
    ) -> None:
        self.connection, self.topics, self.partitions, self.prefix = connection, topics, partitions, prefix
        self.outputs, self.batch_max = written_by(service), batch_max
        self._batches: asyncio.Queue[Sequence[Any]] = asyncio.Queue(maxsize=1)
        self._next_at = 0.0
        self._ends: Mapping[TopicPartition, tuple[int, int]] = {}
        """Of each log its stable end and its high watermark, as they were at one moment."""
        self._ends_at = -ENDS_KNOWN_SECONDS
        self._receiving = True
        self._received: dict[tuple[str, int], int] = {}
        """By place of Kafka's: the offset after the last record that was handed over."""
        self.subscriber = broker.subscriber(
            partitions=[
                Subscribed(prefix + topic, shard, declare=False) for topic in topics for shard in range(partitions)
            ],
            group_id=consumer_group(service, prefix),
            batch=True,
            max_records=batch_max,
            fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            isolation_level="read_committed",  # a command in a transaction that was aborted was never given
            no_reply=True,
            parser=_as_it_came,
            decoder=_raw,
        )
        self.subscriber.get_msg = self._when_there_are_any  # type: ignore[method-assign]

    async def _when_there_are_any(self, consumer: AIOKafkaConsumer) -> tuple[Any, ...]:
        """FastStream's own waits for as long again when nothing came: with less than a latency it looks all the
        time, which costs an idle service a twentieth of a core."""
        await asyncio.sleep(max(self._next_at - monotonic(), 0))
        found = await consumer.getmany(timeout_ms=IDLE_MS, max_records=self.batch_max)
        self._next_at = monotonic() + APART_SECONDS
        return tuple(chain.from_iterable(found.values()))

    async def receive(self, batch: Sequence[Any]) -> None:
        """The application's handler: hands the batch over, and waits while another one waits (back-pressure)."""
        if self._receiving:
            for record in batch:
                self._received[record.topic, record.partition] = record.offset + 1
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
        cut = len(self.prefix)  # here, not in `_record`: this is done for every record there is
        return [Record(r.topic[cut:], r.partition, r.offset, r.timestamp, r.key, r.value, r.headers) for r in batch]

    def resume(self, shard: int, offsets: Mapping[str, int]) -> None:
        for topic in self.topics:
            place, offset = TopicPartition(self.prefix + topic, shard), offsets.get(topic, 0)
            self.consumer.seek(place, offset)
            self._received[place] = offset
            self.consumer.resume(place)

    def pause(self, shards: Sequence[int], topic: str | None = None) -> None:
        topics = self.topics if topic is None else [topic]
        self.consumer.pause(*(TopicPartition(self.prefix + topic, shard) for topic in topics for shard in shards))

    async def reach(self, shards: Sequence[int], *, anew: bool = True) -> dict[tuple[str, int], Reach]:
        """By (topic, shard), by the broker's own word; the high watermark as it came with what was fetched last. Not
        `anew`: by the word that he gave a moment ago, if he did.

        Raises one of CLIENT_ERRORS when it does not answer, also where there are no shards to ask for.
        """
        places = [TopicPartition(self.prefix + topic, shard) for topic in self.topics for shard in shards]
        async with asyncio.timeout(ANSWER_SECONDS):
            fetched = {place: await self.consumer.position(place) for place in places}
            if anew or monotonic() - self._ends_at > ENDS_KNOWN_SECONDS or not set(places) <= self._ends.keys():
                asked = places or [TopicPartition(self.prefix + self.topics[0], 0)]
                self._learn(await self.consumer.end_offsets(asked))
        cut = len(self.prefix)
        return {
            (place.topic[cut:], place.partition): Reach(
                fetched=fetched[place],
                received=self._received[place],
                stable=self._ends[place][0],
                end=self._ends[place][1],
            )
            for place in places
        }

    def _learn(self, ends: Mapping[TopicPartition, int]) -> None:
        """What the broker says now. A watermark that was heard later would look like an open transaction beside it."""
        ours = self.consumer.assignment()
        self._ends = {
            place: (end, max(end, self.consumer.highwater(place) or 0)) for place, end in ends.items() if place in ours
        }
        self._ends_at = monotonic()

    async def logs(self, shards: Sequence[int]) -> dict[Place, Log | None]:
        topics = [self.prefix + topic for topic in dict.fromkeys([*self.topics, *self.outputs])]
        with outage():
            there = await asyncio.wait_for(internals.topics_there(self.consumer, topics), ANSWER_SECONDS)
            led = {
                TopicPartition(topic, shard): partitions[shard]
                for topic, (_, partitions) in there.items()
                for shard in shards
                if shard in partitions
            }
            places = [place for place, is_led in led.items() if is_led]
            begins = await asyncio.wait_for(self.consumer.beginning_offsets(places), ANSWER_SECONDS) if places else {}
            ends = await asyncio.wait_for(self.consumer.end_offsets(places), ANSWER_SECONDS) if places else {}
            self._learn(ends)
        return {
            self._place(place): Log(there[place.topic][0], begins[place], ends[place]) if is_led else None
            for place, is_led in led.items()
        }

    async def said(
        self, sources: Mapping[int, str], known: Mapping[Place, int], logs: Mapping[Place, Log]
    ) -> dict[Place, int]:
        outputs = SERVICES_WRITE.intersection(self.outputs)
        places = [TopicPartition(self.prefix + topic, shard) for topic, shard in logs if topic in outputs]
        found: dict[Place, int] = {}
        if not places:
            return found
        # What we write is no part of a transaction: another one's, left open, would hide it from `read_committed`.
        with outage():
            async with (
                asyncio.timeout(SEARCH_SECONDS),
                LogReader(self.connection, places=places, isolation_level="read_uncommitted") as reader,
            ):
                begins, ends = await reader.begins(places), await reader.ends(places)
                back = 1
                while places:
                    starts = {place: max(ends[place] - back, begins[place]) for place in places}
                    async for records in reader.to_the_end(places, starts, ends):
                        for record in map(self._record, records):
                            source, sequence = codec.numbered(record) or ("", 0)
                            if source == sources[record.partition]:
                                place = record.topic, record.partition
                                found[place] = max(sequence, found.get(place, 0))
                    back *= 16
                    places = [
                        place
                        for place in places
                        if found.get(self._place(place), -1) < known.get(self._place(place), 0)
                        and begins[place] < starts[place]
                        and back <= (SEARCHED_MAX if self._place(place) in known else GLANCED_MAX)
                    ]
        return found

    def _place(self, place: TopicPartition) -> Place:
        return place.topic.removeprefix(self.prefix), place.partition

    def _record(self, record: Any) -> Record:
        topic, partition = self._place(record)
        return Record(topic, partition, record.offset, record.timestamp, record.key, record.value, record.headers)

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
