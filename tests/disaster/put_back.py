"""Histories of the simulation in which a database is put back to an earlier moment, and replayed from the bus."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from random import Random
from typing import Any

from deploy.repair.standing import Outcome
from schemas.notification.events import LookedUp, Taken, WebhookQueued
from schemas.people import Person
from schemas.wire import Service
from services.notification.people import MemoryPeopleTable, People
from services.notification.projection import Deliveries, MemoryDeliveryTable
from services.refund.projection import Ledger, MemoryLedgerTable, MemoryReviewTable, ReviewQueue
from services.timer.projection import BEGINNING, MemoryTimerTable, Timers
from shared.kernel import codec
from shared.kernel.codec import Decoder
from shared.kernel.decider import Decider
from shared.kernel.ports import Record, StoredEvent
from shared.runtime.memory import MemoryBus, MemoryPublisher, MemorySource, MemoryStore
from shared.runtime.partitions import home_among
from shared.runtime.shard_loop import ShardLoop
from tests.simulation import repair, virtual_time
from tests.simulation.coverage import Visited
from tests.simulation.plan import RULES, Plan
from tests.simulation.play import Played, Stage

RECORDS_PER_TURN = 10
"""Or more, mostly."""
QUEUED = "notification.queued.v1", "notification.webhook_queued.v1", "notification.lookup_queued.v1"
UNTOLD = "notification.postponed.v1", LookedUp.type, Taken.type
ACTS_BY_ITSELF: tuple[Service, ...] = ("notification", "timer")


@dataclass
class Snapshot:
    """The rows of one service at a moment."""

    shards: dict[int, Any]
    letters: dict[Any, Any]
    people: dict[str, Person]
    timers: MemoryTimerTable
    reviews: MemoryReviewTable
    records: int
    """So many lay on the bus."""


def records_at(snapshots: Mapping[Service, Snapshot]) -> int:
    return max(one.records for one in snapshots.values())


def played(plan: Plan) -> tuple[Played, dict[Service, Snapshot]]:
    """The history whole, and what every database held at a moment of it that the seed draws."""
    records = Random(plan.seed).randint(1, RECORDS_PER_TURN * len(plan.turns))
    while True:
        history, snapshots = _played(plan, records)
        if snapshots:
            return history, snapshots
        records //= 2  # it was shorter than that


def _played(plan: Plan, records: int) -> tuple[Played, dict[Service, Snapshot]]:
    snapshots: dict[Service, Snapshot] = {}

    class Watched(Stage):
        async def _begin(self) -> None:
            self.world.bus.watchers.append(self._look)
            await super()._begin()

        def _look(self, record: Record) -> None:
            if len(self.world.bus.heard) == records:
                for service, group in self.world.groups.items():
                    rows = Snapshot(
                        group.shards, group.letters, group.people.people, group.table, group.reviews, records
                    )
                    snapshots[service] = copy.deepcopy(rows)

    return virtual_time.run(Watched(plan, Visited()).play()), snapshots


class PutBack:
    """One service whose database is an earlier one, beside the bus as it is."""

    def __init__(self, history: Played, service: Service, snapshot: Snapshot) -> None:
        self.history, self.service = history, service
        self.bus: MemoryBus = history.world.bus
        self.decider = history.world.groups[service].rules
        self.home = home_among(self.bus.partitions)
        self.letters, self.timers, self.ledger = MemoryDeliveryTable(), snapshot.timers, MemoryLedgerTable()
        self.letters.deliveries = snapshot.letters
        self.people = MemoryPeopleTable()
        self.people.people = snapshot.people
        self.ledger.entries = {
            row.id: history.world.ledger[row.id]
            for stored in snapshot.shards.values()
            for row in stored.events
            if row.id in history.world.ledger
        }
        self.reviews = snapshot.reviews
        tables: dict[Service, Sequence[Any]] = {
            "timer": [Timers(self.timers)],
            "notification": [People(self.people), Deliveries(self.letters, self.people, (), self.bus.clock)],
            "refund": [Ledger(self.ledger), ReviewQueue(self.reviews)],
        }
        self.projections = tables.get(service, ())
        self.store = MemoryStore(self.projections)
        self.store.shards = snapshot.shards

    def outputs(self) -> list[Record]:
        return repair.outputs(self.bus, self.service)

    def said(self, record: Record) -> bool:
        return (codec.header(record.headers, "ce_source") or "").startswith(f"recourse/{self.service}/")

    def bus_of(self, records: Sequence[Record]) -> MemoryBus:
        """As it would be if no more had been said."""
        bus = MemoryBus(self.bus.partitions, self.bus.clock())
        for record in records:
            bus.logs[record.topic, record.partition].append(record)
        return bus

    def before_it_heard(self, lost: Sequence[Record], said: Sequence[Record]) -> list[Record]:
        """Of what was said, what the service had said before it read, on its own topics, any of what was `lost`."""
        ids, last = {codec.header(one.headers, "ce_id") for one in lost}, dict[str, int]()
        for shard in range(self.bus.partitions):
            rows = self.history.world.groups[self.service].rows(shard)
            before = takewhile(lambda row: row.causation_id not in ids, rows)
            last[self.source(shard)] = max((row.sequence or 0 for row in before), default=0)
        numbers = [(one, *(codec.numbered(one) or ("", 0))) for one in said]
        return [one for one, source, number in numbers if number <= last.get(source, number)]

    def source(self, shard: int) -> str:
        return codec.source_of(self.service, shard)

    async def replay(self, decider: Decider[Any, Any, Any]) -> list[Outcome]:
        return await repair.replay(decider, self.store, self.bus, range(self.bus.partitions))

    async def go_on(self, decider: Decider[Any, Any, Any]) -> list[Record]:
        """The service starts again and handles what is left; returns what it publishes."""
        before = {place: len(log) for place, log in self.bus.logs.items()}
        source = MemorySource(self.bus, Decoder(decider, self.home).topics, self.service)
        publisher = MemoryPublisher(self.bus, self.service)
        loop = ShardLoop(
            decider, RULES, (), self.store, source, publisher, self.bus.clock, self.home, owner="the next one"
        )
        await loop.claim(range(self.bus.partitions))
        while await loop.outbox.publish():
            pass
        while records := await source.take(0):
            await loop.step(records)
            while await loop.outbox.publish():
                pass
        return [record for place, log in self.bus.logs.items() for record in log[before.get(place, 0) :]]

    def differences(self) -> list[str]:
        """Of its streams, from those of the database that was never put back."""
        group = self.history.world.groups[self.service]
        found = []
        for shard in range(self.bus.partitions):
            before, after = _streams(group.rows(shard)), _streams(self._rows(shard))
            for stream_id in before.keys() | after.keys():
                rows, again = before.get(stream_id, []), after.get(stream_id, [])
                # Where a silent one stood among those that were published, nobody was told.
                rows, again = sorted(rows, key=_content), sorted(again, key=_content)
                if rows != again and self.service == "notification" and self._is_tied():
                    rows, again = _letters(rows), _letters(again)
                if rows != again:
                    pairs = zip(rows, again, strict=False)
                    differs = next((pair for pair in pairs if pair[0] != pair[1]), (len(rows), len(again)))
                    found.append(f"{self.service}/{shard} {stream_id}: {differs}")
        if self.service == "refund" and self.ledger.entries != self.history.world.ledger:
            found.append(f"the ledger: {self.ledger.entries.keys() ^ self.history.world.ledger.keys()}")
        if self.service == "refund" and self.reviews.reviews != group.reviews.reviews:
            found.append(f"what waits for a person: {self.reviews.reviews} and {group.reviews.reviews}")
        left, pending = _pending(self.timers), _pending(group.table)
        if self.service == "timer" and not pending.items() <= left.items():  # what has rung since rings again
            found.append(f"alarms: {left} and {pending}")
        if self.service == "notification" and (lost := group.letters.keys() - self.letters.deliveries.keys()):
            found.append(f"letters that are sent no more: {lost}")  # one may be sent twice, as the very same
        return found

    def _is_tied(self) -> bool:
        """Whether records of two topics have one append time: which came first then nobody can tell."""
        heard = self.history.world.bus.heard
        return any(one.timestamp == two.timestamp and one.topic != two.topic for one, two in pairwise(heard))

    def _rows(self, shard: int) -> list[StoredEvent]:
        return self.store.shards[shard].events if shard in self.store.shards else []


def _streams(rows: Sequence[StoredEvent]) -> dict[str, list[StoredEvent]]:
    """Without attempts that failed or that nothing was said of yet, and without what `people` said when somebody was
    looked up: nobody heard it."""
    streams: dict[str, list[StoredEvent]] = {}
    for row in rows:
        if row.type not in UNTOLD and not (row.type == WebhookQueued.type and _is_own(row)):
            headers = None if row.headers is None else list(row.headers)
            streams.setdefault(row.stream_id or "", []).append(replace(row, position=0, headers=headers))
    return streams


def _is_own(queued: StoredEvent) -> bool:
    return WebhookQueued.read(queued.data or b"").endpoint_id is not None


def _letters(rows: Sequence[StoredEvent]) -> list[Any]:
    """Which, and what became of them: queued at once or held, with what was known by then."""
    queued = [json.loads(row.data or b"")["delivery_id"] for row in rows if row.type in QUEUED]
    return [*sorted(queued), *(row for row in rows if row.topic is not None)]


def _pending(table: MemoryTimerTable) -> dict[str, int]:
    return {
        timer.timer_id: timer.due_at
        for shard, timers in table.timers.items()
        for timer in timers.values()
        if timer.place > table.watermarks.get(shard, BEGINNING)
    }


def _content(row: StoredEvent) -> tuple[bool, int, str]:
    return row.topic is None, row.sequence or 0, row.id or ""
