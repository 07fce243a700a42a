"""What the shard loop holds: the shards it owns, and what one batch of records makes of them."""

import logging
from collections import OrderedDict, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

from schemas.instants import to_ms
from shared.kernel import codec
from shared.kernel.codec import Unreadable
from shared.kernel.envelope import DeadLetter
from shared.kernel.policies import PolicyMissing
from shared.kernel.ports import Claim, Commit, Home, Input, Parked, Place, Record, StoredEvent, Unstorable
from shared.kernel.stream import Answers, OutgoingMessage, Stream

log = logging.getLogger(__name__)


class Unpublished:
    """What of a shard is committed and not known to be on the bus: for each place in order. Between places there is no
    order, so one that refuses keeps back nothing but its own.

    But what is said on another shard's partition, where nobody looks for our numbers, goes out behind all that was said
    before it where they are looked for: else a database that is put back to before it would not be known for older than
    the bus (worlds.py), and would give its number anew. Of a bell, among outsiders' records, nobody reads the number.
    """

    def __init__(self) -> None:
        self.places: dict[Place, deque[tuple[datetime, StoredEvent]]] = {}
        """Those for which something waits, and since when."""
        self._unproved: set[Place] = set()
        """Where nobody looks for our numbers."""
        self._last = 0

    def __len__(self) -> int:
        return sum(map(len, self.places.values()))

    def add(self, event: StoredEvent, since: datetime) -> None:
        assert event.topic is not None
        place = event.topic, event.partition
        self.places.setdefault(place, deque()).append((since, event))
        if event.partition != event.shard:
            self._unproved.add(place)
        self._last = event.position

    @property
    def open(self) -> list[Place]:
        """Those that have an event which may go out now."""
        return [place for place in self.places if self.first(place, 1)]

    def first(self, place: Place, limit: int) -> list[StoredEvent]:
        """Those for it that may go out now."""
        events = [event for _, event in islice(self.places.get(place, ()), limit)]
        if place not in self._unproved:
            return events
        proofs = [place for place in self.places.keys() - self._unproved if not place[0].endswith(".dead-letters")]
        proved = min((self.places[place][0][1].position for place in proofs), default=self._last + 1)
        return [event for event in events if event.position < proved]

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
    ahead: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    """Topic -> from which offset on it waits, and until when: then our clock has come there."""
    gaps: dict[str, int] = field(default_factory=dict)
    """Topic -> offset at which a gap was seen once."""
    resuming: dict[str, bool] = field(default_factory=dict)
    """Parked streams that go on, slice by slice -> whether it is told if they stop again."""
    unruled: set[str] = field(default_factory=set)
    """Parked streams that wait for the file of a policy."""


@dataclass(frozen=True, slots=True)
class WaitingRecord:
    """A parked record whose turn has come."""

    stream_id: str
    parked: Parked
    is_last: bool
    """Nothing of its stream waits behind it."""


Arrival = tuple[Shard, Input | Record | WaitingRecord]
"""What a shard is to handle: an own input, a record as it was read, or one that has waited."""


@dataclass(slots=True)
class Work:
    shard: Shard
    found: Input | DeadLetter | None
    """None: of what has waited, what this version does not hear."""
    record: Record | None
    """None for an own input that comes from its source."""
    waiting: WaitingRecord | None = None


def parked_because(bug: Exception) -> DeadLetter:
    """What is said of a record that parks its order; quotes nothing that may hold a row or an address."""
    match bug:
        case PolicyMissing():
            return DeadLetter(f"parked: PolicyMissing: {bug}: its order waits for the file, with what follows")
        case Unreadable():
            return DeadLetter(f"parked: {bug}: its order waits for an upgrade, with what follows")
        case Unstorable():
            return DeadLetter(f"parked: Unstorable: {bug}: its order waits for a fix, with what follows")
        case _:
            return DeadLetter(f"parked: {type(bug).__name__}: its order waits for a fix, with what follows")


class Batch:
    """What one batch leads to, gathered; nothing of the shards has changed until it is committed."""

    def __init__(self, service: str, home: Home) -> None:
        self.service, self.home = service, home
        self.claims: dict[Shard, Claim] = {}
        self.work: list[Work] = []
        self.begun: set[tuple[Shard, str]] = set()
        self.suspended: set[tuple[Shard, str]] = set()
        self.answers: dict[int, Answers] = defaultdict(dict)
        """Of each shard, what is known of the commands that are handled."""
        self.unreadable: dict[tuple[Shard, str], Exception] = {}
        """Streams that could not be folded: whatever comes for them raises."""
        self.inputs: list[tuple[int, Input]] = []
        self.events: list[StoredEvent] = []
        self.parked: list[tuple[int, str, Record]] = []
        self.released: dict[tuple[Shard, str], int] = {}
        """Parked streams -> the number up to which their records wait no more."""
        self.resumed: list[tuple[Shard, str]] = []
        """Parked streams that an operator wants to go on, once the batch is committed."""
        self.stopped: dict[tuple[Shard, str], Exception] = {}
        """Streams whose handling raised, for the first time or again."""

    def claim(self, shard: Shard) -> Claim:
        """The shard as it will stand after this batch."""
        if shard not in self.claims:
            now = shard.claim
            cursors = {topic: replace(cursor) for topic, cursor in now.cursors.items()}
            self.claims[shard] = replace(now, cursors=cursors, marks=dict(now.marks), parked=set(now.parked))
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
        released = [(shard.claim.shard, stream_id, number) for (shard, stream_id), number in self.released.items()]
        return Commit(claims, cursors, marks, self.inputs, self.events, self.parked, released)

    def undo(self) -> None:
        """Nothing of it was kept: the streams in memory say more than is true."""
        for work in self.work:
            if isinstance(work.found, Input):
                work.shard.streams.pop(work.found.stream_id, None)

    def is_suspended(self, arrival: Arrival) -> bool:
        """Whether it is to be read again, and will come once more."""
        shard, arrived = arrival
        return isinstance(arrived, Record) and (shard, arrived.topic) in self.suspended

    def park(self, shard: Shard, found: Input, record: Record | None) -> Record:
        """It waits from here on, an own input as well: its source need not keep it any more."""
        if record is None:
            record = codec.own_input(found, shard.claim.shard)
            self.inputs.append((shard.claim.shard, replace(found, waits=True)))
        self.claim(shard).parked.add(found.stream_id)
        self.parked.append((shard.claim.shard, found.stream_id, record))
        return record

    def stop(self, work: Work, bug: Exception) -> None:
        """Handling it raised: it waits, with all that follows for its stream; or waits on, if it did already. Then that
        is told again only if somebody asked for it to go on, or something before it did. Raises the bug where there is
        no stream to wait with."""
        if not isinstance(work.found, Input):
            raise bug
        shard, found, stream_id = work.shard, work.found, work.found.stream_id
        shard.streams.pop(stream_id, None)
        self.stopped[shard, stream_id] = bug
        record = work.record
        if work.waiting is None:
            record = self.park(shard, found, record)
        elif not shard.resuming.get(stream_id) and (shard, stream_id) not in self.released:
            return
        assert record is not None
        self.dead_letter(shard, record, parked_because(bug))

    def goes_on(self, shard: Shard, waiting: WaitingRecord) -> bool:
        """Whether its stream has not stopped again meanwhile."""
        return waiting.stream_id in shard.resuming and (shard, waiting.stream_id) not in self.stopped

    def release(self, shard: Shard, waiting: WaitingRecord) -> None:
        """It was handled after all."""
        self.released[shard, waiting.stream_id] = waiting.parked.number
        if waiting.is_last:
            self.claim(shard).parked.discard(waiting.stream_id)

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
                    asked=one.asked,
                    digest=one.digest,
                    traceparent=found.traceparent,
                    data=data,
                    message=message,
                )
            )
        self.inputs.append((claim.shard, found))
        self.events += events
        claim.position, claim.sequence = position, sequence
        if log.isEnabledFor(logging.DEBUG):
            said = [one.message.type for one in outgoing]
            log.debug("handled", extra={"order_id": found.stream_id, "input": found.type, "said": said})

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
