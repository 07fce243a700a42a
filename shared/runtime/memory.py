"""The simulated world: bus, store and clock in memory, with virtual time. The very same shard loop runs on it.

Its source, store and publisher pass the same tests as the real ones (tests/contract); what differs is the transport
alone, so a story of 15 days is played in milliseconds.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from operator import attrgetter
from typing import Any, Protocol

from schemas.instants import to_ms
from schemas.topics import SERVICES_WRITE, written_by
from schemas.wire import snapshots
from shared.kernel import codec
from shared.kernel.codec import Decoder
from shared.kernel.decider import Decider
from shared.kernel.policies import Policies
from shared.kernel.ports import (
    GLANCED_MAX,
    KEPT,
    REPLIES,
    SAID_EVENTS,
    SEARCHED_MAX,
    Claim,
    Commit,
    Fenced,
    InputSource,
    Log,
    Outage,
    Parked,
    Place,
    PlaceRefusal,
    Projection,
    Record,
    StoredEvent,
)
from shared.runtime.clocks import next_come
from shared.runtime.partitions import home_among, partition_of
from shared.runtime.shard_loop import ShardLoop

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class MemoryBus:
    """Topics as lists; append time is the virtual clock."""

    def __init__(self, partitions: int, now: datetime = START) -> None:
        self.partitions, self.now = partitions, now
        self.logs: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self._begins: dict[Place, int] = defaultdict(int)
        self._made: dict[str, int] = defaultdict(int)
        self.bytes_max: dict[Place, int] = {}
        """Of the values that a place takes, where it does not take all; one that is gone takes none."""

    def clock(self) -> datetime:
        return self.now

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        partition: int | None = None,
    ) -> Record:
        """As a producer does; without a partition the key's own."""
        if partition is None:
            partition = partition_of(key or b"", self.partitions)
        log = self.logs[topic, partition]
        offset = self.log(topic, partition).end
        log.append(Record(topic, partition, offset, to_ms(self.clock()), key, value, tuple(headers)))
        return log[-1]

    def log(self, topic: str, partition: int) -> Log:
        """As the broker tells of it."""
        records, begin = self.logs.get((topic, partition)), self._begins.get((topic, partition), 0)
        return Log(f"{topic} {self._made[topic]}", begin, records[-1].offset + 1 if records else begin)

    def make_anew(self, topic: str) -> None:
        """Deleted and created, empty."""
        self._made[topic] += 1
        for place in [place for place in self.logs if place[0] == topic]:
            del self.logs[place]
            self._begins.pop(place, None)

    def lose_tail(self, topic: str, partition: int, end: int) -> None:
        log = self.logs[topic, partition]
        del log[bisect_left(log, end, key=_offset) :]

    def end_life(self, topic: str, partition: int, begin: int) -> None:
        """Retention has come to the record at `begin`."""
        log = self.logs[topic, partition]
        del log[: bisect_left(log, begin, key=_offset)]
        self._begins[topic, partition] = begin

    def compact(self, topic: str) -> None:
        """Compaction has come: of each key the newest record is left, and none if it is empty. A log never loses its
        last one."""
        for place in [place for place in self.logs if place[0] == topic]:
            log = self.logs[place]
            newest = {record.key: record.offset for record in log}
            log[:] = [one for one in log if one is log[-1] or (one.value and newest[one.key] == one.offset)]

    def records(self, topic: str) -> list[Record]:
        return [record for (name, _), log in self.logs.items() if name == topic for record in log]


_offset = attrgetter("offset")
_kept = attrgetter(*KEPT)


class MemorySource:
    def __init__(self, bus: MemoryBus, topics: Sequence[str], service: str) -> None:
        self.bus, self.topics, self.service = bus, topics, service
        self.next: dict[Place, int] = {}

    async def take(self, wait: float) -> Sequence[Record]:
        taken: list[Record] = []
        for place, offset in self.next.items():
            log = self.bus.log(*place)
            if not log.begin <= offset <= log.end:
                offset = log.begin  # as Kafka's client does
            records = self.bus.logs.get(place, [])
            taken += records[bisect_left(records, offset, key=_offset) :]
            self.next[place] = log.end
        return taken

    def resume(self, shard: int, offsets: Mapping[str, int]) -> None:
        for topic in self.topics:
            self.next[topic, shard] = offsets.get(topic, 0)

    def pause(self, shards: Sequence[int], topic: str | None = None) -> None:
        for place in [place for place in self.next if place[1] in shards and topic in (None, place[0])]:
            del self.next[place]

    async def logs(self, shards: Sequence[int]) -> Mapping[Place, Log]:
        topics = dict.fromkeys([*self.topics, *written_by(self.service)])
        return {(topic, shard): self.bus.log(topic, shard) for topic in topics for shard in shards}

    async def said(
        self, sources: Mapping[int, str], known: Mapping[Place, int], logs: Mapping[Place, Log]
    ) -> Mapping[Place, int]:
        said: dict[Place, int] = {}
        for topic, shard in logs:
            if topic in SERVICES_WRITE.intersection(written_by(self.service)):
                back = SEARCHED_MAX if (topic, shard) in known else GLANCED_MAX
                for record in islice(reversed(self.bus.logs.get((topic, shard), [])), back):
                    source, sequence = codec.numbered(record) or ("", 0)
                    if source == sources[shard]:
                        said[topic, shard] = max(sequence, said.get((topic, shard), 0))
                    if said.get((topic, shard), -1) >= known.get((topic, shard), 0):
                        break
        return said


@dataclass
class _StoredShard:
    claim: Claim
    owner: str | None = None
    events: list[StoredEvent] = field(default_factory=list)
    parked: dict[str, list[Parked]] = field(default_factory=dict)
    parked_ever: int = 0
    answers: dict[bytes, dict[bytes, StoredEvent]] = field(default_factory=dict)
    """By what was asked and its digest."""


class MemoryStore:
    """The rows of one service. What a commit keeps it keeps whole; an old epoch keeps nothing."""

    def __init__(self, projections: Sequence[Projection] = ()) -> None:
        self.projections = projections
        self.shards: dict[int, _StoredShard] = {}

    async def claim(self, shards: Sequence[int], owner: str) -> list[Claim]:
        claims = []
        for number in shards:
            stored = self.shards.setdefault(number, _StoredShard(Claim(number, 0, 0, 0, 0)))
            stored.claim.epoch += 1
            stored.owner = owner
            claims.append(_copied(stored))
        return claims

    async def release(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            if self._ours(claim):
                self.shards[claim.shard].owner = None
        await self.note_published(claims)

    def _ours(self, claim: Claim) -> bool:
        stored = self.shards.get(claim.shard)
        return stored is not None and stored.claim.epoch == claim.epoch and stored.claim.commits >= claim.commits

    async def check(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            if not self._ours(claim) or self.shards[claim.shard].claim.position < claim.position:
                raise Fenced

    async def load(self, streams: Sequence[tuple[int, str]]) -> dict[tuple[int, str], list[StoredEvent]]:
        whole = snapshots()
        loaded: dict[tuple[int, str], list[StoredEvent]] = {}
        for number, stream_id in streams:
            stored = self.shards.get(number)
            events = [event for event in stored.events if event.stream_id == stream_id] if stored else []
            events = [event for event in events if not re.search(REPLIES, event.type)]
            since = max((at for at, event in enumerate(events) if event.type in whole), default=0)
            loaded[number, stream_id] = events[since:]
        return loaded

    async def answered(self, commands: Sequence[tuple[int, bytes, bytes]]) -> list[StoredEvent]:
        found = []
        for number, asked, digest in commands:
            known = self.shards[number].answers.get(asked, {}) if number in self.shards else {}
            found += [known[one] for one in (digest, next(iter(known), digest)) if one in known]
        return found

    async def said(self, claims: Sequence[Claim]) -> dict[Place, int]:
        said: dict[Place, int] = {}
        for claim in claims:
            events = self.shards[claim.shard].events if claim.shard in self.shards else []
            for event in events[max(0, claim.published - SAID_EVENTS) : claim.published]:
                if event.topic is not None and event.partition == event.shard:
                    said[event.topic, event.shard] = event.sequence or 0
        return said

    async def parked(self, shard: int, stream_id: str, limit: int) -> list[Parked]:
        return self.shards[shard].parked.get(stream_id, [])[:limit]

    async def commit(self, commit: Commit) -> None:
        for claim, before in zip(commit.claims, commit.before(), strict=True):
            if not self._ours(claim) or self.shards[claim.shard].claim.position != before:
                raise Fenced
        for projection in self.projections:
            await projection.apply(self, commit.inputs, commit.events)
        for claim in commit.claims:
            stored = self.shards[claim.shard].claim
            stored.position, stored.sequence = claim.position, claim.sequence
            stored.published = max(stored.published, claim.published)
            stored.commits += 1
            claim.commits += 1
        for shard, topic, cursor in commit.cursors:
            self.shards[shard].claim.cursors[topic] = replace(cursor)
        for shard, topic, source, sequence in commit.marks:
            self.shards[shard].claim.marks[topic, source] = sequence
        for event in commit.events:
            kept = StoredEvent(*_kept(event))
            self.shards[event.shard].events.append(kept)
            if kept.asked is not None and kept.digest is not None:
                self.shards[event.shard].answers.setdefault(kept.asked, {}).setdefault(kept.digest, kept)
        for shard, stream_id, number in commit.released:
            waiting = self.shards[shard].parked.pop(stream_id, [])
            if left := waiting[bisect_right(waiting, number, key=lambda parked: parked.number) :]:
                self.shards[shard].parked[stream_id] = left
        for shard, stream_id, record in commit.parked:
            stored_shard = self.shards[shard]
            stored_shard.parked_ever += 1
            stored_shard.parked.setdefault(stream_id, []).append(Parked(stored_shard.parked_ever, record))

    async def unpublished(self, claim: Claim, limit: int) -> list[StoredEvent]:
        events = self.shards[claim.shard].events
        return [event for event in events if event.topic is not None and event.position > claim.published][:limit]

    async def note_published(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            if self._ours(claim):
                stored = self.shards[claim.shard].claim
                stored.published = max(stored.published, claim.published)


def _copied(stored: _StoredShard) -> Claim:
    claim = stored.claim
    return replace(
        claim,
        cursors={topic: replace(cursor) for topic, cursor in claim.cursors.items()},
        marks=dict(claim.marks),
        parked=set(stored.parked),
    )


class MemoryPublisher:
    def __init__(self, bus: MemoryBus, service: str) -> None:
        self.bus, self.service = bus, service

    async def send(self, events: Sequence[StoredEvent]) -> Mapping[Place, PlaceRefusal]:
        sent: Counter[Place] = Counter()
        refused: dict[Place, PlaceRefusal] = {}
        for event in events:
            if event.topic is None:
                raise Outage(f"a private event is not for the bus: {event.type}")
            place = event.topic, event.partition
            if place not in refused and len(event.data or b"") > self.bus.bytes_max.get(place, 2**62):
                refused[place] = PlaceRefusal(sent[place], "MessageSizeTooLargeError")
            if place not in refused:
                self.bus.append(event.topic, *codec.published(event, self.service), event.partition)
                sent[place] += 1
        return refused


class ExternalSystem(Protocol):
    """Another system on the bus."""

    def act(self) -> bool:
        """Does what there is to do at this instant; says whether that was anything."""
        ...

    def next_due(self) -> datetime | None: ...


class World:
    """Several services on one bus, driven until nothing moves; then time jumps to the next thing anybody has due."""

    def __init__(self, policies: Policies, partitions: int = 3, now: datetime = START) -> None:
        self.bus = MemoryBus(partitions, now)
        self.policies = policies
        self.loops: list[ShardLoop] = []
        self.stores: dict[str, MemoryStore] = {}
        self.external_systems: list[ExternalSystem] = []
        self._settled: list[Callable[[], Awaitable[None]]] = []

    async def add(
        self,
        decider: Decider[Any, Any, Any],
        projections: Sequence[Projection] = (),
        inputs: Sequence[InputSource] = (),
        settled: Callable[[], Awaitable[None]] | None = None,
    ) -> ShardLoop:
        """`settled` waits until the service has done what it does by itself at this instant, beside its loop."""
        store = MemoryStore(projections)
        home = home_among(self.bus.partitions)
        source = MemorySource(self.bus, Decoder(decider, home).topics, decider.service)
        loop = ShardLoop(
            decider,
            self.policies,
            inputs,
            store,
            source,
            MemoryPublisher(self.bus, decider.service),
            self.bus.clock,
            home,
            owner=decider.service,
        )
        await loop.claim(range(self.bus.partitions))
        self.loops.append(loop)
        self.stores[decider.service] = store
        if settled is not None:
            self._settled.append(settled)
        return loop

    async def settle(self) -> None:
        """Until no record is unread and nothing is due at this instant."""
        moved = True
        while moved:
            moved = False
            for settled in self._settled:
                await settled()
            for loop in self.loops:
                records = await loop.source.take(0)
                before, from_the_future = loop.handled, next_come(loop.shards.values())
                await self.turn(loop, records)
                moved |= bool(records) or loop.handled > before or loop.goes_on()
                moved |= from_the_future != next_come(loop.shards.values())
            for system in self.external_systems:
                moved |= system.act()

    async def turn(self, loop: ShardLoop, records: Sequence[Record]) -> None:
        """One service handles these and says what comes of it."""
        await loop.step(records)
        while await loop.outbox.publish():
            pass

    async def wait(self, duration: timedelta) -> None:
        """Lets virtual time pass, stopping wherever somebody has something due."""
        end = self.bus.now + duration
        await self.settle()
        while (due := self.next_due()) is not None and due <= end:
            self.bus.now = max(due, self.bus.now)
            await self.settle()
        self.bus.now = end
        await self.settle()

    def next_due(self) -> datetime | None:
        dues = [*(loop.next_due() for loop in self.loops), *(system.next_due() for system in self.external_systems)]
        return min((due for due in dues if due is not None), default=None)
