"""What we take of aiokafka that it does not promise: all of it stands here, and each name is pinned by a test.

`install` makes its reader of record batches stumble over nothing that a broker accepts. Who reads calls it.

A header's name that is not UTF-8 raises in aiokafka's consumer, at the same record again and again: one such record
would silence its partition for ever. Kafka's own client reads U+FFFD there, and so do we.

A header of three bytes is eighty in memory and more: of a record with a flood of them only so many are kept as show the
decoder that there are too many, and no record is read before its turn.
"""

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import islice
from struct import unpack_from
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException, KafkaError, NoError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

from schemas.topics import HEADERS_MAX

_LENGTH_AT = 8
_LENGTH_COUNTS_FROM = 12


def install() -> None:
    """From now on every consumer of this process reads so."""
    fetcher.MemoryRecords = Records


def abandon(producer: AIOKafkaProducer) -> None:
    """Whatever it still holds has failed; else its `stop` would wait for that for ever."""
    producer._message_accumulator.fail_all(KafkaError("abandoned"))


async def topics_there(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> dict[str, tuple[str, dict[int, bool]]]:
    """Name -> (id, partition -> whether a broker leads it); aiokafka's own question knows of no ids (KIP-516). Raises
    KafkaError."""
    client = consumer._client
    response = await client.send(client.get_random_node(), _TopicsRequest(topics))
    there = {}
    for error, name, id_, _, partitions, *_ in response.topics:
        if (said := for_code(error)) is NoError:
            there[name] = id_.hex(), {number: leader >= 0 for _, number, leader, *_ in partitions}
        elif said is not UnknownTopicOrPartitionError:
            raise said(name)
    return there


class _Id(AbstractType[bytes]):  # type: ignore[misc]
    """A UUID."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


class _TopicsResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 3, 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                *[("node_id", Int32), ("host", CompactString()), ("port", Int32), ("rack", CompactString())],
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                *[("error_code", Int16), ("name", CompactString()), ("topic_id", _Id), ("is_internal", Boolean)],
                (
                    "partitions",
                    CompactArray(
                        *[("error_code", Int16), ("partition", Int32), ("leader", Int32), ("leader_epoch", Int32)],
                        *[(replicas, CompactArray(Int32)) for replicas in ("replicas", "isr", "offline_replicas")],
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _TopicsRequestV12(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY, API_VERSION = 3, 12
    RESPONSE_TYPE = _TopicsResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Id), ("name", CompactString()), ("tags", TaggedFields))),
        *[("allow_auto_topic_creation", Boolean), ("include_authorized_operations", Boolean)],
        ("tags", TaggedFields),
    )


class _TopicsRequest(Request[_TopicsRequestV12]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_TopicsRequestV12]) -> _TopicsRequestV12:
        return request_struct_class([(bytes(16), name, {}) for name in self._topics], False, False, {})


class Records:
    """What one fetch brought of one partition: batches, one behind the other."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched, self._begins_at = fetched, 0
        self._records = MemoryRecords(fetched)

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def size_in_bytes(self) -> int:
        return len(self._fetched)

    def next_batch(self) -> "_Batch":
        (length,) = unpack_from(">i", self._fetched, self._begins_at + _LENGTH_AT)
        begins_at, self._begins_at = self._begins_at, self._begins_at + _LENGTH_COUNTS_FROM + length
        return _Batch(self._records.next_batch(), memoryview(self._fetched)[begins_at : self._begins_at])


class _Batch:
    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch, self._raw = batch, raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                yield _without_flood(record)
                read += 1
        except (CorruptRecordException, UnicodeDecodeError):
            yield from map(_without_flood, islice(_read_leniently(self._raw), read, None))

    def __next__(self) -> Any:
        return next(self._batch)


def _without_flood(record: Any) -> Any:
    del record.headers[HEADERS_MAX + 1 :]
    return record


def _read_leniently(raw: memoryview) -> Iterator[Any]:
    """In Python, as aiokafka does where its compiled reader is missing. Raises for what is really corrupt."""
    batch = _DefaultRecordBatchPy(raw)
    batch._maybe_uncompress()
    batch._buffer = _Lenient(batch._buffer)
    return iter(batch)


class _Lenient(bytearray):
    """Decodes whatever it holds; so do its slices."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return _Lenient(found) if isinstance(index, slice) else found

    def decode(self, *_: Any) -> str:
        return super().decode("utf-8", "replace")
