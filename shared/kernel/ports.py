"""The ports through which the shard loop sees the world, and what passes through them. The ground floor: it knows
nothing of ours.

`Source` is where records come from, `Store` where they are kept, `Publisher` where events go; each has a real and a
simulated implementation, and both pass tests/contract. `Projection` and `InputSource` are what a service adds to the
loop: tables of its own, written in the very commit of what they follow from, and inputs that it gives itself.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Protocol

SAID_EVENTS = 1_000
"""So far back a store is asked what is on the bus."""
SEARCHED_MAX = 4_096
"""So many records a source looks back for a number that is known to be there …"""
GLANCED_MAX = 256
"""… and so many where none is known."""
Headers = Sequence[tuple[str, bytes | None]]
Place = tuple[str, int]
"""A partition of a topic: (topic, partition)."""
Home = Callable[[bytes], int]
"""Key -> the partition on which Kafka's own clients put it."""


REPLIES = "[.](rejected|repeated|resumed)[.]v[0-9]+$"
"""Types of events that are for whoever asked and no part of a stream's history: a regular expression, also
PostgreSQL's. An index is made for it (migration 0004)."""


class Fenced(Exception):
    """Another process owns the shard now: nothing was committed, and nothing may be from here on."""


class Outage(Exception):
    """A server did not answer, or not clearly. Never poison: the same work is done again, from what is stored."""


class Unstorable(Exception):
    """A server answered: it refuses what it was given, and will again. A bug of ours, or of how it is set up; nothing
    was kept. Its words name no row."""


@dataclass(slots=True)  # what is made of every record there is is not frozen: that would take four times as long
class Record:
    """One record as it lies in a topic (named without prefix). `timestamp` is the broker's append time, ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Followed:
    """A record that is kept as it lies, and that nothing is decided by."""

    record: Record


@dataclass(slots=True)
class Input:
    """One record, decoded, or what a service gives itself."""

    payload: object
    """A command, another service's event, a wake-up, a refusal found while decoding, an own input, or what is
    followed."""
    type: str
    stream_id: str
    id: str
    time: datetime
    correlation_id: str
    causation_id: str = ""
    """Of what it says that it answers; empty where it says nothing."""
    own: bool = False
    """It came through the service's own inbox, on its own partition, so its time counts (R0)."""
    digest: bytes | None = None
    """Of a command's type and data: with its id, what makes a repeat a repeat; one without it comes from another stream
    of the same service and is heard. Of an outsider's event, or a wake-up: what tells it from another one of the same
    id, its place."""
    traceparent: str | None = None
    place: bytes = b""
    """Where its record lies: what tells it from every other of its topic. Empty for what a service gives itself."""
    waited: bool = False
    """It was parked with its order, and now the order goes on."""
    waits: bool = False
    """An own input that is kept with its parked order from here on, and by its source no more."""


@dataclass(slots=True)
class StoredEvent:
    """One message from its commit on: a piece of a stream and, with a topic, of the shard's outbox. The record that it
    becomes follows from it (`codec.published`)."""

    shard: int
    position: int
    """Place in the shard's commit order; gapless, private events too."""
    sequence: int | None
    """`ce_sequence`: place among the published ones; None when private."""
    topic: str | None
    partition: int
    key: bytes | None
    """Where it is not the stream's id."""
    stream_id: str | None
    """None for a dead letter."""
    type: str
    time: int
    """Of the input that caused it, ms (R0)."""
    id: str | None = None
    causation_id: str | None = None
    correlation_id: str | None = None
    command_id: str | None = None
    """Of the command that this is the first answer to."""
    asked: bytes | None = None
    """By what that command is known again (`stream.asked`)."""
    digest: bytes | None = None
    traceparent: str | None = None
    headers: Headers | None = None
    """Those of a dead letter, which are not ours; None: they follow from the rest."""
    data: bytes | None = None
    message: object = None
    """What `data` says, as it was decided; None when read back."""


KEPT = tuple(one.name for one in fields(StoredEvent) if one.name != "message")
"""What tables keep of an event, in this order."""


@dataclass(frozen=True, slots=True)
class PlaceRefusal:
    """Of what was sent to one place not all is known to be there."""

    acknowledged: int
    """The first so many are."""
    reason: str
    """The broker's, or that it gave none."""


@dataclass(slots=True)
class Cursor:
    """Where a shard stands in one of its input topics."""

    offset: int = 0
    """The next one to read."""
    time: int = 0
    """The latest append time seen, ms: a broker's clock may step back, the time of inputs does not."""
    topic_id: str | None = None
    """Of the very topic that `offset` counts in: one that is made anew has the name and another id. None: not known
    yet, the present one is taken for it."""


@dataclass(frozen=True, slots=True)
class Log:
    """What the broker says of a topic at one partition."""

    topic_id: str
    begin: int
    """The offset of the first record that is kept …"""
    end: int
    """… and the one that the next will have."""


@dataclass(slots=True)
class Claim:
    """What the owner of a shard starts from, read after the epoch became his."""

    shard: int
    epoch: int
    position: int
    sequence: int
    published: int
    """Position up to which everything is known to be on the bus; may lag, never leads."""
    cursors: dict[str, Cursor] = field(default_factory=dict)
    marks: dict[tuple[str, str], int] = field(default_factory=dict)
    """(topic, source) -> highest `ce_sequence` handled; only for topics that outsiders cannot write."""
    parked: set[str] = field(default_factory=set)
    """Streams whose handling raised; what has come for them since waits in the store."""
    commits: int = field(default=0, compare=False)
    """So many are known to be kept, by whatever they moved: rows that have fewer were put back."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A record that waits with its stream."""

    number: int
    """Of the stream's, in order of arrival; not gapless."""
    record: Record


@dataclass(slots=True)
class Commit:
    """All that one batch leads to; kept whole or not at all."""

    claims: list[Claim]
    """The shards as they will stand: epoch unchanged, the rest moved on."""
    cursors: list[tuple[int, str, Cursor]]
    """Those of `claims` that moved: (shard, topic, cursor)."""
    marks: list[tuple[int, str, str, int]]
    """Likewise: (shard, topic, source, sequence)."""
    inputs: list[tuple[int, Input]]
    """(shard, input): what was handled …"""
    events: list[StoredEvent]
    """… and what was said to it. Of own inputs also those that are parked (`Input.waits`)."""
    parked: list[tuple[int, str, Record]]
    """(shard, stream, record): waits behind what waits of its stream already."""
    released: list[tuple[int, str, int]]
    """(shard, stream, number): what waited of it up to this number waits no more."""

    def __bool__(self) -> bool:
        """Whether it keeps anything."""
        return bool(self.cursors or self.marks or self.inputs or self.events or self.parked or self.released)

    def before(self) -> list[int]:
        """The position at which each of `claims` must stand for this to go on from there: positions are gapless."""
        said = Counter(event.shard for event in self.events)
        return [claim.position - said[claim.shard] for claim in self.claims]


DISBELIEVED = "append times"
"""In the place of a source among `marks`: the offset below which an operator does not believe the append times of a log
where they are ahead of our clock."""


class Source(Protocol):
    """Records of the shards we own."""

    async def take(self, wait: float) -> Sequence[Record]:
        """The next records, of several shards and topics, in order within each; empty after `wait` seconds."""
        ...

    def resume(self, shard: int, offsets: Mapping[str, int]) -> None:
        """Delivers the shard's records from these offsets on (0 for a topic not named); what was fetched is dropped."""
        ...

    def pause(self, shards: Sequence[int], topic: str | None = None) -> None:
        """All topics of these, or one; until it is resumed."""
        ...

    async def logs(self, shards: Sequence[int]) -> Mapping[Place, Log | None]:
        """Of every topic that the service reads or writes, at these shards' partitions; one that is not there is left
        out, None: no broker leads it now. Raises Outage."""
        ...

    async def said(
        self, sources: Mapping[int, str], known: Mapping[Place, int], logs: Mapping[Place, Log]
    ) -> Mapping[Place, int]:
        """The highest `ce_sequence` of each shard's source (shard -> `ce_source`) in those of `logs` that the service
        writes and no outsider does; nothing where none is found. Looks back from their ends until it has found what
        is `known` to be there, for repeats may lie behind it, but at most so far. Raises Outage."""
        ...


class Store(Protocol):
    """Streams, outbox, cursors: the rows of a service's shards. Every method may raise Outage, or Unstorable."""

    async def claim(self, shards: Sequence[int], owner: str) -> list[Claim]:
        """Takes the shards by epoch + 1, and fences off from then on whoever had them. One that somebody commits to at
        this moment is left out, and may be asked for again."""
        ...

    async def release(self, claims: Sequence[Claim]) -> None:
        """Gives shards back if they are still ours, with what was published."""
        ...

    async def check(self, claims: Sequence[Claim]) -> None:
        """Raises Fenced if any of them, as it was committed last, is no longer ours or stands further back: then its
        rows were put back."""
        ...

    async def load(self, streams: Sequence[tuple[int, str]]) -> dict[tuple[int, str], list[StoredEvent]]:
        """The events of these (shard, stream) streams, in order, each from its last snapshot on, without REPLIES:
        however many commands were refused, a stream is as long as its life."""
        ...

    async def answered(self, commands: Sequence[tuple[int, bytes, bytes]]) -> list[StoredEvent]:
        """First answers to these commands (shard, `asked`, digest), or to one of the same `asked` with another digest:
        one such is enough to know. However many there are, at most two a command are returned."""
        ...

    async def parked(self, shard: int, stream_id: str, limit: int) -> list[Parked]:
        """The first records that wait with a stream, in order of arrival."""
        ...

    async def commit(self, commit: Commit) -> None:
        """Its claims know of it then. Raises Fenced or Unstorable (nothing kept) or Outage (outcome unknown)."""
        ...

    async def unpublished(self, claim: Claim, limit: int) -> list[StoredEvent]:
        """The first of the outbox after `claim.published`, in order."""
        ...

    async def note_published(self, claims: Sequence[Claim]) -> None:
        """Remembers `published` without a batch; for idle shards."""
        ...

    async def said(self, claims: Sequence[Claim]) -> dict[Place, int]:
        """The highest sequence that is known to be on the bus, by topic, on the shard's own partition; of the last
        SAID_EVENTS before `claim.published`."""
        ...


class Publisher(Protocol):
    async def send(self, events: Sequence[StoredEvent]) -> Mapping[Place, PlaceRefusal]:
        """Sends in order to each place. Returns when every place has acknowledged everything, but for those that it
        names: what these have not acknowledged may be sent again, and readers know repeats by their sequence. Raises
        Outage when no place has acknowledged anything, for no broker answers.

        May be called while it sends, for other places."""
        ...


class Projection(Protocol):
    """Tables of a service's own: its ledger, its timers, its deliveries."""

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        """Keeps what follows from what was heard, (shard, input) each, and said; part of its commit (`transaction`: an
        asyncpg connection in one). Called again for less of it where one of the inputs makes the commit raise."""
        ...


class InputSource(Protocol):
    """Lets a service act by itself: an instant was reached, a mail was taken. What comes of it is an own input, decided
    and committed like a record."""

    async def opened(self, shard: int) -> None:
        """The shard is ours now: read what was pending. Called before any input of it is handled."""
        ...

    def closed(self, shard: int) -> None:
        """The shard is no longer ours: forget it and start nothing more for it."""
        ...

    def due(self, now: datetime, shard: int) -> Sequence[Input]:
        """Own inputs of a shard that are ready. Asked again and again: one handed out is not handed out twice while the
        shard stays ours. Of a kind that the decider's `own_inputs` names: parked with its order it is kept as JSON."""
        ...

    def next_due(self) -> datetime | None:
        """The instant before which `due` need not be asked again, if nothing is committed meanwhile."""
        ...

    def committed(self, events: Sequence[StoredEvent]) -> None:
        """The commit is done: act on it (start a delivery, arm a timer). Never blocks, never raises."""
        ...

    async def stop(self) -> None:
        """Ends what was started."""
        ...


class Clock(Protocol):
    def __call__(self) -> datetime: ...
