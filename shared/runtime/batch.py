"""What the shard loop holds: the shards it owns, and what one batch of records makes of them."""

import logging
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

from schemas.topics import BATCH_BYTES_MAX
from schemas.wire import Message, Rejected, Service
from shared.kernel import codec
from shared.kernel.agenda import Written
from shared.kernel.codec import DeadLetter
from shared.kernel.decider import Decider, Input, Said, Stream, refold
from shared.kernel.ports import EPOCH, Claim, Commit, Record, Row

log = logging.getLogger(__name__)

S = TypeVar("S")


@dataclass(eq=False)
class Shard:
    """A shard we own. `claim` is what is stored, `streams` what is folded from it, `pending` what to publish."""

    claim: Claim
    streams: OrderedDict[str, Stream[Any]] = field(default_factory=OrderedDict)
    pending: deque[Row] = field(default_factory=deque)
    ready: bool = False
    published_noted: int = 0
    gaps: dict[str, int] = field(default_factory=dict)
    """Topic -> offset at which a gap was seen once."""


def folded(decider: Decider[S], order_id: str, rows: Sequence[Row]) -> Stream[S]:
    """An order's stream, from its stored rows in their order. Raises for a row that cannot be read."""
    stream: Stream[S] = Stream(order_id)
    if rows:
        stream.correlation_id = codec.header(rows[0].headers, "ce_correlationid")
    for row in rows:
        if row.command_id is not None and row.digest is not None:
            stream.answered.setdefault(row.command_id, set()).add(row.digest)
        model = Message.MODELS[row.type]
        if not issubclass(model, Rejected):  # no history, and it may stand under a key that is no order id
            refold(decider, stream, model.read(row.data or b""))
    return stream


@dataclass(frozen=True, slots=True)
class Work:
    shard: Shard
    found: Input | DeadLetter
    record: Record | None
    """None for an own input."""


class Batch:
    """What one batch leads to, gathered; nothing of the shards has changed until it is committed."""

    def __init__(self, service: Service, partitions: int) -> None:
        self.service, self.partitions = service, partitions
        self.claims: dict[Shard, Claim] = {}
        self.work: list[Work] = []
        self.begun: set[tuple[Shard, str]] = set()
        self.suspended: set[tuple[Shard, str]] = set()
        self.unreadable: dict[tuple[Shard, str], Exception] = {}
        """Streams that could not be folded: whatever comes for them raises."""
        self.rows: list[Row] = []
        self.written: list[Written] = []
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
        return Commit(claims, cursors, marks, self.rows, self.written, self.parked, self.released)

    def park(self, shard: Shard, order_id: str, record: Record) -> None:
        self.claim(shard).parked.setdefault(order_id, []).append(record)
        self.parked.append((shard.claim.shard, order_id, record))

    def store(self, shard: Shard, found: Input, said: Sequence[Said]) -> None:
        """What was said to one input, as rows of its order's stream. Raises, and leaves all as it was, for a message
        that no topic can take: unsendable it would block the shard's outbox for ever."""
        claim = self.claim(shard)
        position, sequence = claim.position, claim.sequence
        time = (found.time - EPOCH) // timedelta(milliseconds=1)
        rows: list[Row] = []
        for one in said:
            message = one.message
            position += 1
            sequence += one.topic is not None
            headers, data = codec.encode(one, found, self._source(claim), sequence)
            if codec.size_of(headers) + len(data) > BATCH_BYTES_MAX:
                raise ValueError(f"{message.type} is too large to publish: {len(data)} bytes")
            key, partition = None, claim.shard
            if one.topic is not None and message.key != found.order_id:
                key = message.key.encode()
                partition = codec.partition_of(key, self.partitions)
            rows.append(
                Row(
                    claim.shard,
                    position,
                    sequence if one.topic is not None else None,
                    one.topic,
                    partition,
                    key,
                    found.order_id,
                    message.type,
                    time,
                    one.command_id,
                    one.digest,
                    headers,
                    data,
                )
            )
        self.rows += rows
        self.written += [
            Written(row.shard, row.position, found.order_id, one.id, one.correlation_id, found.time, one.message)
            for row, one in zip(rows, said, strict=True)
        ]
        claim.position, claim.sequence = position, sequence

    def put_aside(self, shard: Shard, record: Record, letter: DeadLetter) -> None:
        """To the dead letters, in order with everything else and numbered like it."""
        claim = self.claim(shard)
        claim.position += 1
        claim.sequence += 1
        key, headers, value = codec.dead_letter(record, letter, self._source(claim), claim.sequence)
        place = (claim.shard, claim.position, claim.sequence, f"{self.service}.dead-letters", claim.shard)
        self.rows.append(Row(*place, key, None, "dead-letter", record.timestamp, None, None, headers, value))
        log.warning("dead letter: %s", letter.reason, extra={"topic": record.topic, "offset": record.offset})

    def _source(self, claim: Claim) -> str:
        return f"recourse/{self.service}/{claim.shard}"
