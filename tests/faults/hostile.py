"""How a record is made that nobody should send: from a good command, one thing at a time."""

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.record.default_records import DefaultRecordBase
from aiokafka.record.util import calc_crc32c

from schemas.timer.commands import Schedule
from schemas.timer.events import Elapsed
from shared.runtime.partitions import partition_of
from tests.support.commands import command, headers
from tests.support.topics import producer

PARTITIONS = 2
BATCH_BYTES_MAX = 64 * 1024 * 1024
NAME = "x-not-utf-8"
NAME_NOT_UTF8 = b"x-\xff\xfe\xfd-utf-8"

Header = tuple[str, bytes | None]


@dataclass(frozen=True)
class Sent:
    """A record as it is given to the broker; `data` is what its value was made of."""

    topic: str
    data: Mapping[str, Any]
    value: bytes | None
    headers: tuple[Header, ...]
    key: bytes | None
    partition: int | None = None
    compression: str | None = None

    @property
    def place(self) -> int:
        """Its partition: where the key belongs, unless said otherwise."""
        return partition_of(self.key or b"", PARTITIONS) if self.partition is None else self.partition

    def holding(self, data: Mapping[str, Any]) -> "Sent":
        return replace(self, data=data, value=json.dumps(data).encode())


Twist = Callable[[Sent], Sent]
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Inbox:
    """A `*.commands` topic: a good command for it, how that is answered, and where a text and an amount stand in it."""

    topic: str
    type: str
    data: Mapping[str, Any]
    answer: str
    text: Path
    minor: Path | None = None
    actor: Mapping[str, str] = field(default_factory=lambda: {"role": "platform", "id": "checkout"})

    def good(self, order_id: str, command_id: str) -> Sent:
        """A command that is obeyed (or, where there is no such order, refused as such)."""
        given = command(self.type, order_id, self.actor["role"], self.actor["id"], self.data, command_id)
        about = headers(self.type, command_id, specversion="1.0", source="recourse/tests")
        dressed = (*about, ("content-type", b"application/json"))
        return Sent(self.topic, json.loads(given.value), given.value, dressed, given.key)


# -- twists: each returns a function from a good command to a bad one --------------------------------------------------


def value(raw: bytes | None) -> Twist:
    """Other bytes altogether. `None` is a tombstone."""
    return lambda sent: replace(sent, value=raw)


def data(**changes: Any) -> Twist:
    """Fields added, replaced or (`...`) left out."""
    return lambda sent: sent.holding({name: new for name, new in {**sent.data, **changes}.items() if new is not ...})


class Json(str):
    """A piece of JSON text that no serializer would write."""


def at(path: Path, new: Any) -> Twist:
    """Another value somewhere inside; given as `Json`, as that text."""

    def twist(sent: Sent) -> Sent:
        tree = json.loads(json.dumps(sent.data))
        node = tree
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = "@" if isinstance(new, Json) else new
        whole = json.dumps(tree)
        return replace(sent, value=(whole.replace('"@"', new) if isinstance(new, Json) else whole).encode())

    return twist


def also(piece: str) -> Twist:
    """JSON text put in at the end of the object."""
    return lambda sent: replace(sent, value=f"{json.dumps(sent.data)[:-1]}, {piece}}}".encode())


def padded(size: int) -> Twist:
    """Spaces after the JSON, up to exactly so many bytes."""
    return lambda sent: replace(sent, value=json.dumps(sent.data).encode().ljust(size))


def header(name: str, raw: bytes | None) -> Twist:
    """One header more, or in the place of the one of that name."""
    return lambda sent: replace(sent, headers=(*(h for h in sent.headers if h[0] != name), (name, raw)))


def without(name: str) -> Twist:
    return lambda sent: replace(sent, headers=tuple(h for h in sent.headers if h[0] != name))


def flood(count: int, size: int = 1) -> Twist:
    return lambda sent: replace(sent, headers=(*sent.headers, *((f"x-{n}", b"x" * size) for n in range(count))))


def key(raw: bytes | None) -> Twist:
    """Another key, on that key's partition."""
    return lambda sent: replace(sent, key=raw)


def wrong_partition(sent: Sent) -> Sent:
    return replace(sent, partition=1 - sent.place)


def compressed(codec_name: str) -> Twist:
    return lambda sent: replace(sent, compression=codec_name)


def act(type_: str, order_id: str, role: str, person: str, **fields: Any) -> Twist:
    """Another command, of somebody, about an order that exists."""

    def twist(sent: Sent) -> Sent:
        command = {"order_id": order_id, "actor": {"role": role, "id": person}, **fields}
        return replace(header("ce_type", f"{type_}.v1".encode())(sent), key=order_id.encode()).holding(command)

    return twist


def bell(**fields: Any) -> Twist:
    elapsed = {"timer_id": "order/x", "name": "processing_ends", "due_at": "2026-01-01T00:00:00.000Z", **fields}
    return lambda sent: header("ce_type", Elapsed.type.encode())(sent).holding(
        {"order_id": sent.data["order_id"], **elapsed}
    )


def schedule(**fields: Any) -> Twist:
    """What is obeyed in silence."""
    wish = {"name": "processing_ends", "due_at": "2999-01-01T00:00:00.000Z", "deliver_to": "order", **fields}
    return both(header("ce_type", Schedule.type.encode()), data(**wish))


def structured(content_type: str = "application/cloudevents+json", **envelope: Any) -> Twist:
    """One JSON document with the attributes beside the data; `...` leaves one out."""

    def twist(sent: Sent) -> Sent:
        attributes = {name[3:]: (raw or b"").decode() for name, raw in sent.headers if name.startswith("ce_")}
        whole = attributes | {"data": sent.data} | envelope
        document = {name: value for name, value in whole.items() if value is not ...}
        return replace(sent, headers=(("content-type", content_type.encode()),), value=json.dumps(document).encode())

    return twist


def both(*twists: Twist) -> Twist:
    def twist(sent: Sent) -> Sent:
        for one in twists:
            sent = one(sent)
        return sent

    return twist


# -- the wire ----------------------------------------------------------------------------------------------------------


class RawProducer:
    """Sends one record a batch, just as it is."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self._producers: dict[str | None, Any] = {}

    async def __aenter__(self) -> "RawProducer":
        return self

    async def __aexit__(self, *_: object) -> None:
        for one in self._producers.values():
            await one.stop()

    async def send(self, sent: Sent) -> int | None:
        """Returns the record's offset; None if the broker does not take it."""
        to = await self._producer(sent.compression)
        batch = to.create_batch()
        added = batch.append(key=sent.key, value=sent.value, timestamp=None, headers=list(sent.headers))
        assert added is not None, "larger than a batch may be"
        if any(name == NAME for name, _ in sent.headers):
            batch._build()
            batch._buffer = misnamed(bytearray(batch._buffer))
        acknowledgement = await to.send_batch(batch, sent.topic, partition=sent.place)
        try:
            return int((await acknowledgement).offset)
        except MessageSizeTooLargeError:
            return None

    async def _producer(self, compression: str | None) -> Any:
        if compression not in self._producers:
            options = {"max_batch_size": BATCH_BYTES_MAX, "max_request_size": BATCH_BYTES_MAX}
            made = producer(self.bootstrap_servers, compression_type=compression, **options)
            await made.start()
            self._producers[compression] = made
        return self._producers[compression]


def misnamed(batch: bytearray) -> bytes:
    """A header's name made bytes that are not UTF-8; Python's clients cannot send that, others can."""
    batch = batch.replace(NAME.encode(), NAME_NOT_UTF8)
    checked_from = DefaultRecordBase.ATTRIBUTES_OFFSET
    struct.pack_into(">I", batch, DefaultRecordBase.CRC_OFFSET, calc_crc32c(bytes(batch[checked_from:])))
    return bytes(batch)
