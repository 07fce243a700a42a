"""Dead letters as they lie on the bus, and back to where they came from: byte for byte, under their own id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka import TopicPartition

from schemas.topics import CASE_FILE, all_topics
from services.casefile.front.sending import KafkaSender
from services.casefile.operating.stuck import PARKED, SET_ASIDE, SetAside
from shared.kernel.codec import header
from shared.kernel.ports import Outage, Record
from shared.runtime.kafka.connection import outage
from shared.runtime.kafka.reading import LogReader, LogStandsStill

OURS = frozenset(
    topic.name for topic in all_topics() if CASE_FILE in topic.writers and topic.name.endswith(".commands")
)
"""To these the case file may write."""
DEAD_LETTER_HEADERS = (
    "kafka_dlt-original-topic",
    "kafka_dlt-original-partition",
    "kafka_dlt-original-offset",
    "kafka_dlt-original-timestamp",
    "x-dead-letter-reason",
    "x-dead-letter-source",
    "x-dead-letter-sequence",
)


class RawBus(Protocol):
    """Records as they lie. Raises Outage."""

    async def read(self, places: Sequence[tuple[str, int, int]]) -> Mapping[tuple[str, int, int], Record]:
        """(topic, partition, offset) -> what lies there, as far as it still does."""
        ...

    async def write(self, record: Record) -> None:
        """To its topic and partition; offset and timestamp are the broker's."""
        ...


def stays(letter: SetAside) -> str | None:
    """Why it cannot go back, in a sentence; None: it can."""
    if letter.code == PARKED:
        return "It waits with its order: let that go on (resume)."
    if letter.original_topic not in OURS:
        return f"What belongs on {letter.original_topic or 'no topic'} is not ours to write."
    if letter.is_cut:
        return "It was too large to be kept whole."
    return None


def as_it_came(letter: Record) -> Record | None:
    """The original of a dead letter; None: it is none of ours, or not whole."""
    ours = [name for name, _ in letter.headers[-SET_ASIDE:]]
    kept = letter.headers[:-SET_ASIDE]
    partition = header(letter.headers[-SET_ASIDE:], "kafka_dlt-original-partition") or ""
    if tuple(ours) != DEAD_LETTER_HEADERS or not partition.isdigit():
        return None
    topic = header(letter.headers[-SET_ASIDE:], "kafka_dlt-original-topic") or ""
    if any(name == "x-dead-letter-cut-from" for name, _ in kept):
        return None
    return Record(topic, int(partition), -1, -1, letter.key, letter.value, kept)


@dataclass(frozen=True)
class KafkaRawBus:
    """Read by a client that is opened for each question: operators ask seldom."""

    sender: KafkaSender
    connection: Mapping[str, Any]
    prefix: str

    async def read(self, places: Sequence[tuple[str, int, int]]) -> Mapping[tuple[str, int, int], Record]:
        found: dict[tuple[str, int, int], Record] = {}
        partitions = sorted({TopicPartition(f"{self.prefix}{topic}", partition) for topic, partition, _ in places})
        try:
            with outage():
                async with LogReader(self.connection, places=partitions) as reader:
                    for topic, partition, offset in sorted(places):
                        place = TopicPartition(f"{self.prefix}{topic}", partition)
                        if not (await reader.begins([place]))[place] <= offset < (await reader.ends([place]))[place]:
                            continue
                        async for some in reader.to_the_end([place], {place: offset}, {place: offset + 1}):
                            for one in some:
                                if one.offset == offset:
                                    record = Record(
                                        *(topic, partition, offset, one.timestamp, one.key, one.value),
                                        [(name, value) for name, value in one.headers],
                                    )
                                    found[topic, partition, offset] = record
        except LogStandsStill as error:
            raise Outage(f"kafka: {error}") from error
        return found

    async def write(self, record: Record) -> None:
        await self.sender.write(record)
