"""What lies on the bus, as a repair reads it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self

from aiokafka import TopicPartition

from schemas.topics import written_by
from shared.kernel import codec
from shared.kernel.ports import Log, Place, Record
from shared.runtime.kafka.connection import connection
from shared.runtime.kafka.reading import LogReader
from shared.runtime.settings import Settings

LOOK_BACK = 64
"""Records; sixteen times as many at each further look."""


class Bus:
    """The logs of one service. Its inputs as it reads them itself; its outputs whatever open transaction of somebody
    else lies before them."""

    def __init__(self, inputs: LogReader, outputs: LogReader, settings: Settings, service: str) -> None:
        self._inputs, self._outputs = inputs, outputs
        self._prefix, self._partitions, self.service = settings.topic_prefix, settings.partitions, service

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings, service: str, topics: Sequence[str]) -> AsyncIterator[Self]:
        """`topics`: its inputs. Raises one of CLIENT_ERRORS, among them that a topic is not there."""
        options = connection(settings)
        read, written = ([settings.topic_prefix + one for one in some] for some in (topics, written_by(service)))
        async with (
            LogReader(options, read) as inputs,
            LogReader(options, written, isolation_level="read_uncommitted") as outputs,
        ):
            yield cls(inputs, outputs, settings, service)

    async def log(self, topic: str, shard: int) -> Log:
        """An input."""
        place = TopicPartition(self._prefix + topic, shard)
        ids = await self._inputs.ids([place.topic])
        begins, ends = await self._inputs.begins([place]), await self._inputs.ends([place])
        return Log(ids[place.topic], begins[place], ends[place])

    async def stamp(self, topic: str, shard: int, offset: int) -> int | None:
        """When what lies at this offset of an input was appended, ms. None: nothing that is handed out does."""
        place = TopicPartition(self._prefix + topic, shard)
        begins, ends = await self._inputs.begins([place]), await self._inputs.ends([place])
        if not begins[place] <= offset < ends[place]:
            return None
        found = await self._read(self._inputs, {place: offset}, {place: offset + 1})
        return next((one.timestamp for one in found if one.offset == offset), None)

    async def unread(self, topic: str, shard: int, offset: int) -> list[Record]:
        """Of an input log, from an offset on."""
        place = TopicPartition(self._prefix + topic, shard)
        begins = await self._inputs.begins([place])
        return await self._read(self._inputs, {place: max(offset, begins[place])})

    async def said_since(self, shard: int, ms: int) -> list[Record]:
        """All that was appended since to where this shard writes."""
        return await self._read(self._outputs, await self._outputs.at(self._written(shard), ms))

    async def said_last(self, shard: int) -> dict[Place, int]:
        """The highest number that this shard has on the bus, by (topic, partition) where it writes; 0: none."""
        left, back, found = self._written(shard), LOOK_BACK, dict[Place, int]()
        begins, ends = await self._outputs.begins(left), await self._outputs.ends(left)
        source = codec.source_of(self.service, shard)
        while left:
            starts = {place: max(ends[place] - back, begins[place]) for place in left}
            for record in await self._read(self._outputs, starts, ends):
                numbered = codec.numbered(record)
                if numbered is not None and numbered[0] == source:
                    place = record.topic, record.partition
                    found[place] = max(numbered[1], found.get(place, 0))
            back *= 16
            left = [one for one in left if self._place(one) not in found and begins[one] < starts[one]]
        return {self._place(one): found.get(self._place(one), 0) for one in self._written(shard)}

    async def said(self, shard: int) -> dict[Place, set[int]]:
        """All numbers of this shard on the bus, by (topic, partition) where it writes: the logs are read whole."""
        source, found = codec.source_of(self.service, shard), dict[Place, set[int]]()
        written = self._written(shard)
        starts = await self._outputs.begins(written)
        async for fetched in self._outputs.to_the_end(starts, starts):
            for one in fetched:
                topic, partition = self._place(one)
                record = Record(topic, partition, one.offset, one.timestamp, None, None, tuple(one.headers))
                numbered = codec.numbered(record)
                if numbered is not None and numbered[0] == source:
                    found.setdefault((topic, partition), set()).add(numbered[1])
        return found

    def _written(self, shard: int) -> list[TopicPartition]:
        """Its own partition; of topics that it commands others or itself by, every one: keys lie where they belong."""
        return [
            TopicPartition(self._prefix + topic, partition)
            for topic in written_by(self.service)
            for partition in (range(self._partitions) if _goes_everywhere(topic, self.service) else [shard])
        ]

    def _place(self, place: TopicPartition) -> Place:
        return place.topic.removeprefix(self._prefix), place.partition

    async def _read(
        self, reader: LogReader, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int] | None = None
    ) -> list[Record]:
        read: list[Record] = []
        async for fetched in reader.to_the_end(starts, starts, ends):
            for one in fetched:
                topic, partition = self._place(one)
                read.append(Record(topic, partition, one.offset, one.timestamp, one.key, one.value, tuple(one.headers)))
        return read


def _goes_everywhere(topic: str, service: str) -> bool:
    return topic.startswith(f"{service}.") and not topic.endswith((".events", ".dead-letters"))
