"""The three narrow doors through which the shard loop sees the world: where records come from, where they are kept,
where events go. Each has a real and a simulated implementation; both pass tests/contract."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from shared.kernel.agenda import Written

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""From which a broker's milliseconds count."""


class Fenced(Exception):
    """Another process owns the shard now: nothing was committed, and nothing may be from here on."""


class Outage(Exception):
    """A server did not answer, or not clearly. Never poison: the same work is done again, from what is stored."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it lies in a topic (named without prefix). `timestamp` is the broker's append time, ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One stored message: a piece of an order's stream, and, with a topic, of the shard's outbox."""

    shard: int
    position: int
    """Place in the shard's commit order; gapless, private rows too."""
    sequence: int | None
    """`ce_sequence`: place among the published rows; None when private."""
    topic: str | None
    partition: int
    key: bytes | None
    order_id: str | None
    """The stream it belongs to; None for a dead letter."""
    type: str
    time: int
    command_id: str | None
    digest: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    """As published."""
    data: bytes | None


@dataclass(slots=True)
class Cursor:
    """Where a shard stands in one of its input topics."""

    offset: int = 0
    """The next one to read."""
    time: int = 0
    """The latest append time seen, ms: a broker's clock may step back, the time of inputs does not."""


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
    parked: dict[str, list[Record]] = field(default_factory=dict)
    """Orders whose handling raised, with their records since, in order."""


@dataclass(slots=True)
class Commit:
    """All that one batch leads to; kept whole or not at all."""

    claims: list[Claim]
    """The shards as they will stand: epoch unchanged, the rest moved on."""
    cursors: list[tuple[int, str, Cursor]]
    """Those of `claims` that moved: (shard, topic, cursor)."""
    marks: list[tuple[int, str, str, int]]
    """Likewise: (shard, topic, source, sequence)."""
    rows: list[Row]
    written: list[Written]
    parked: list[tuple[int, str, Record]]
    released: list[tuple[int, str]]
    """Parked orders that were handled after all."""


class Source(Protocol):
    """Records of the shards we own."""

    async def take(self, wait: float) -> Sequence[Record]:
        """The next records, of several shards and topics, in order within each; empty after `wait` seconds."""
        ...

    def resume(self, shard: int, offsets: Mapping[str, int]) -> None:
        """Delivers the shard's records from these offsets on (0 for a topic not named); what was fetched is dropped."""
        ...

    def pause(self, shards: Sequence[int]) -> None: ...


class Store(Protocol):
    """Streams, outbox, cursors: the rows of a service's shards. Every method may raise Outage."""

    async def claim(self, shards: Sequence[int], owner: str) -> list[Claim]:
        """Takes the shards by epoch + 1; waits for a commit in flight, and fences its author off from then on."""
        ...

    async def release(self, claims: Sequence[Claim]) -> None:
        """Gives shards back if they are still ours, with what was published."""
        ...

    async def check(self, claims: Sequence[Claim]) -> None:
        """Raises Fenced if any of them is no longer ours."""
        ...

    async def load(self, streams: Sequence[tuple[int, str]]) -> dict[tuple[int, str], list[Row]]:
        """The rows of these (shard, order) streams, in order."""
        ...

    async def commit(self, commit: Commit) -> None:
        """Raises Fenced (nothing kept) or Outage (outcome unknown)."""
        ...

    async def unpublished(self, claim: Claim, limit: int) -> list[Row]:
        """The first rows of the outbox after `claim.published`, in order."""
        ...

    async def note_published(self, claims: Sequence[Claim]) -> None:
        """Remembers `published` without a batch; for idle shards."""
        ...


class Publisher(Protocol):
    async def send(self, rows: Sequence[Row]) -> None:
        """Returns when every row is acknowledged, in order per topic and partition. Raises Outage when unsure; sending
        the same rows again is then right: readers know repeats by their sequence."""
        ...


class Clock(Protocol):
    def __call__(self) -> datetime: ...
