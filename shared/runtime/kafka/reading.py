"""Reading whole topics as somebody who belongs to no group: to where they end now, or on and on."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.runtime.kafka import internals

POLL_MS = 50
STANDSTILL_SECONDS = 30.0
"""A log that does not go on for so long, short of its end, is given up."""


class LogStandsStill(TimeoutError):
    """A log does not go on to its end."""


class LogReader:
    """`async with LogReader(connection, topics) as reader:` has every partition of them, `reader.places`; or those
    `places` alone.

    It commits nothing, and leaves out what was said in transactions that were aborted: it was never given. Opening it
    raises UnknownTopicOrPartitionError for a topic that is not there, after aiokafka's patience of 40 seconds.
    """

    def __init__(
        self,
        connection: Mapping[str, Any],
        topics: Iterable[str] = (),
        places: Sequence[TopicPartition] = (),
        isolation_level: str = "read_committed",
    ) -> None:
        self._connection, self._topics = connection, tuple(topics)
        self.places, self._isolation_level = places, isolation_level

    async def __aenter__(self) -> Self:
        # Assigned, once: whoever is subscribed is assigned anew, from the beginning, when what the broker tells of its
        # topics changes, and whoever is stopped while he lets go of an assignment may never end.
        self.places = self.places or await self._all_places()
        self._consumer = self._new()
        self._consumer.assign(self.places)
        self._consumer.pause(*self.places)  # nothing is fetched but what is being read
        await _start(self._consumer)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def _all_places(self) -> list[TopicPartition]:
        if not self._topics:
            return []
        asking = self._new(*self._topics)
        await _start(asking)
        try:
            return sorted(asking.assignment())
        finally:
            await asking.stop()

    def _new(self, *topics: str) -> Any:
        return AIOKafkaConsumer(
            *topics,
            **self._connection,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level=self._isolation_level,
        )

    async def begins(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Place -> the offset of the first record that is still kept."""
        return dict(await self._consumer.beginning_offsets(list(places)))

    async def ends(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Place -> the offset that its next record will have; of any place, it need not be one of `places`."""
        return dict(await self._consumer.end_offsets(list(places)))

    async def at(self, places: Iterable[TopicPartition], ms: int) -> dict[TopicPartition, int]:
        """Place -> the offset of its first record that was appended at that instant or later, or its end."""
        chosen = list(places)
        found = await self._consumer.offsets_for_times(dict.fromkeys(chosen, ms)) if chosen else {}
        ends = await self.ends(chosen)
        return {place: found[place].offset if found.get(place) is not None else ends[place] for place in chosen}

    async def ids(self, topics: Sequence[str]) -> dict[str, str]:
        """Topic -> its id, of those that are there."""
        return {topic: id_ for topic, (id_, _) in (await internals.topics_there(self._consumer, topics)).items()}

    async def to_the_end(
        self,
        places: Iterable[TopicPartition] | None = None,
        starts: Mapping[TopicPartition, int] | None = None,
        ends: Mapping[TopicPartition, int] | None = None,
        records_max: int | None = None,
    ) -> AsyncIterator[list[ConsumerRecord]]:
        """What lies in these places (all), from `starts` (where they begin) to `ends` (where they end now), as it is
        fetched, at most so many at a time; in order within each place. Raises LogStandsStill."""
        chosen = list(self.places if places is None else places)
        starts = await self.begins(chosen) if starts is None else starts
        ends = await self.ends(chosen) if ends is None else ends
        left = [place for place in chosen if starts[place] < ends[place]]
        for place in left:
            self._consumer.seek(place, starts[place])
        self._consumer.resume(*left)
        moved_at = time.monotonic()
        while left:
            fetched = await self._consumer.getmany(*left, timeout_ms=POLL_MS, max_records=records_max)
            yield [r for place, records in fetched.items() for r in records if r.offset < ends[place]]
            # By the position, not the last record: the mark at the end of a transaction is handed to nobody.
            at_end = [place for place in left if await self._consumer.position(place) >= ends[place]]
            self._consumer.pause(*at_end)
            left = [place for place in left if place not in at_end]
            if fetched or at_end:
                moved_at = time.monotonic()
            elif time.monotonic() - moved_at > STANDSTILL_SECONDS:
                raise LogStandsStill(f"{left[0].topic}/{left[0].partition} does not go on to its end {ends[left[0]]}")

    async def follow(self, starts: Mapping[TopicPartition, int] | None = None) -> AsyncIterator[list[ConsumerRecord]]:
        """What lies in all places from `starts` (where they begin) on, and whatever comes. Something is yielded at
        least every POLL_MS, be it nothing: whoever follows may have something else to do, too."""
        for place, offset in (starts or await self.begins(self.places)).items():
            self._consumer.seek(place, offset)
        self._consumer.resume(*self.places)
        while True:
            fetched = await self._consumer.getmany(timeout_ms=POLL_MS)
            yield [record for records in fetched.values() for record in records]


async def _start(consumer: Any) -> None:
    try:
        await consumer.start()
        await asyncio.sleep(0)  # stopped before its tasks have begun, it would say that somebody was cancelled
    except BaseException:
        await consumer.stop()
        raise
