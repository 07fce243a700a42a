"""What the shard loop holds: the shards it owns, and what one batch of records makes of them."""

import logging
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

from schemas.instants import to_ms
from schemas.wire import Service
from shared.kernel import codec
from shared.kernel.codec import DeadLetter, Home
from shared.kernel.ports import Claim, Commit, Input, Place, Record, StoredEvent
from shared.kernel.stream import OutgoingMessage, Stream

log = logging.getLogger(__name__)


class Unpublished:
    """What of a shard is committed and not known to be on the bus: for each place in order. Between places there is no
    order, so one that refuses keeps back nothing but its own."""

    def __init__(self) -> None:
        self.places: dict[Place, deque[tuple[datetime, StoredEvent]]] = {}
        """Those for which something waits, and since when."""
        self._last = 0

    def __len__(self) -> int:
        return sum(map(len, self.places.values()))

    def add(self, event: StoredEvent, since: datetime) -> None:
        assert event.topic is not None
        self.places.setdefault((event.topic, event.partition), deque()).append((since, event))
        self._last = event.position

    def first(self, place: Place, limit: int) -> list[StoredEvent]:
        return [event for _, event in islice(self.places.get(place, ()), limit)]

    def acknowledged(self, place: Place, count: int) -> None:
        """The first so many for it are there."""
        queue = self.places[place]
        for _ in range(count):
            queue.popleft()
        if not queue:
            del self.places[place]

    @property
    def begins(self) -> int:
        """Position of the first of them: everything before it is on the bus."""
        return min((queue[0][1].position for queue in self.places.values()), default=self._last + 1)

    @property
    def since(self) -> datetime | None:
        """When the first of them began to wait."""
        return min((queue[0][0] for queue in self.places.values()), default=None)


@dataclass(eq=False)
class Shard:
    """A shard we own. `claim` is what is stored, `streams` what is folded from it, `pending` what to publish."""

    claim: Claim
    streams: OrderedDict[str, Stream[Any]] = field(default_factory=OrderedDict)
    pending: Unpublished = field(default_factory=Unpublished)
    ready: bool = False
    full: bool = False
    """Too much of it is pending …"""
    held: bool = False
    """… so nothing new of it is taken."""
    published_noted: int = 0
    outputs: dict[str, str] = field(default_factory=dict)
    """Topic that we write -> its id."""
    gaps: dict[str, int] = field(default_factory=dict)
    """Topic -> offset at which a gap was seen once."""


@dataclass(frozen=True, slots=True)
class Work:
    shard: Shard
    found: Input | DeadLetter
    record: Record | None
    """None for an own input."""


class Batch:
    """What one batch leads to, gathered; nothing of the shards has changed until it is committed."""

    def __init__(self, service: Service, home: Home) -> None:
        self.service, self.home = service, home
        self.claims: dict[Shard, Claim] = {}
        self.work: list[Work] = []
        self.begun: set[tuple[Shard, str]] = set()
        self.suspended: set[tuple[Shard, str]] = set()
        self.unreadable: dict[tuple[Shard, str], Exception] = {}
        """Streams that could not be folded: whatever comes for them raises."""
        self.inputs: list[tuple[int, Input]] = []
        self.events: list[StoredEvent] = []
        self.parked: list[tuple[int, str, Record]] = []
        self.released: list[tuple[int, str]] = []
        self.resumed: list[tuple[Shard, str]] = []
        """Parked orders that an operator wants to go on, once the batch is committed."""
        self.raised: dict[tuple[Shard, str], tuple[Record, DeadLetter]] = {}
        """What parked an order, and what is said of it."""

    def claim(self, shard: Shard) -> Claim:
        """The shard as it will stand after this batch."""
        if shard not in self.claims:
            now = shard.claim
            cursors = {topic: replace(cursor) for topic, cursor in now.cursors.items()}
            parked = {order: list(records) for order, records in now.parked.items()}
            self.claims[shard] = replace(now, cursors=cursors, marks=dict(now.marks), parked=parked)
        return self.claims[shard]

    def commit(self) -> Commit:
        cursors = [
            (claim.shard, topic, cursor)
            for shard, claim in self.claims.items()
            for topic, cursor in claim.cursors.items()
            if cursor != shard.claim.cursors.get(topic)
        ]
        marks = [
            (claim.shard, *place, sequence)
            for shard, claim in self.claims.items()
            for place, sequence in claim.marks.items()
            if sequence != shard.claim.marks.get(place)
        ]
        claims = list(self.claims.values())
        return Commit(claims, cursors, marks, self.inputs, self.events, self.parked, self.released)

    def park(self, shard: Shard, stream_id: str, record: Record) -> None:
        self.claim(shard).parked.setdefault(stream_id, []).append(record)
        self.parked.append((shard.claim.shard, stream_id, record))

    def store(self, shard: Shard, found: Input, outgoing: Sequence[OutgoingMessage]) -> None:
        """What was said to one input, as events of its stream. Raises, and leaves all as it was, for a message that no
        topic can take: unsendable it would block the shard's outbox for ever."""
        claim = self.claim(shard)
        position, sequence, time = claim.position, claim.sequence, to_ms(found.time)
        events: list[StoredEvent] = []
        for one in outgoing:
            message = one.message
            position += 1
            sequence += one.topic is not None
            key, partition = None, claim.shard
            if one.topic is not None and message.key != found.stream_id:
                key = message.key.encode()
                partition = self.home(key)
            data = message.model_dump_json().encode()
            if one.topic is not None and len(data) > codec.OWN_DATA_BYTES_MAX:
                raise ValueError(f"{message.type} is too large to publish: {len(data)} bytes")
            events.append(
                StoredEvent(
                    shard=claim.shard,
                    position=position,
                    sequence=sequence if one.topic is not None else None,
                    topic=one.topic,
                    partition=partition,
                    key=key,
                    stream_id=found.stream_id,
                    type=message.type,
                    time=time,
                    id=one.id,
                    causation_id=one.causation_id,
                    correlation_id=one.correlation_id,
                    command_id=one.command_id,
                    digest=one.digest,
                    traceparent=found.traceparent,
                    data=data,
                    message=message,
                )
            )
        self.inputs.append((claim.shard, found))
        self.events += events
        claim.position, claim.sequence = position, sequence

    def dead_letter(self, shard: Shard, record: Record, letter: DeadLetter) -> None:
        """In order with everything else and numbered like it."""
        claim = self.claim(shard)
        claim.position += 1
        claim.sequence += 1
        key, headers, value = codec.dead_letter(
            record, letter, codec.source_of(self.service, claim.shard), claim.sequence
        )
        self.events.append(
            StoredEvent(
                shard=claim.shard,
                position=claim.position,
                sequence=claim.sequence,
                topic=f"{self.service}.dead-letters",
                partition=claim.shard,
                key=key,
                stream_id=None,
                type="dead-letter",
                time=record.timestamp,
                headers=headers,
                data=value,
            )
        )
        log.warning("dead letter: %s", letter.reason, extra={"topic": record.topic, "offset": record.offset})
