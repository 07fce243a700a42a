"""What the verifier finds of a simulated world: its records, its ledger, its pending alarms."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from deploy.verify.check import check
from deploy.verify.checks import people
from deploy.verify.checks.order_history import Snapshot
from deploy.verify.observation import ALARMS, LEDGER, PLACED, Observation, Reader
from deploy.verify.report import Report
from schemas.instants import to_ms
from services.refund.ledger import BookedEntry
from shared.kernel.ports import Place

if TYPE_CHECKING:
    from tests.simulation.world import World

FOR_EVER = 10**15
ALARMS_LATE = 30.0
"""Virtual seconds: so late alarms may be when all goes well, by the clock that is right."""
reader = cache(Reader)


class Observed:
    """Every record is read once, however often it is looked."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.seen: list[Observation] = []
        """The records that were there at the last look, in the order in which they came."""
        self.rested_at = 0
        """So many records there were at the last quiet moment."""
        self._ends: dict[Place, int] = {}
        """Of each log the last offset, counted on where it began anew."""
        self._begins: Counter[Place] = Counter()

    def records(self) -> list[Observation]:
        observe = reader(self.world.bus.partitions).observation
        self.seen += [self._placed(observe(record)) for record in self.world.bus.heard[len(self.seen) :]]
        return self.seen

    def _placed(self, one: Observation) -> Observation:
        """Of a log that was made anew, or lost its tail: what lies there since comes behind what lay there before."""
        log = one.topic, one.partition
        if one.offset + self._begins[log] <= self._ends.get(log, -1):
            self._begins[log] = self._ends[log] + 1 - one.offset
        self._ends[log] = one.offset + self._begins[log]
        return replace(one, offset=self._ends[log]) if self._begins[log] else one

    def alarms_tell(self) -> bool:
        """While something goes wrong, alarms may be overdue; and they are still when who rings them comes back."""
        return self.world.now() - self.world.well_since >= ALARMS_LATE

    def verified(self) -> Report:
        """Where the broker's clock went back, nothing can be told by its times."""
        entries = (entry_observed(one) for one in self.world.ledger.values())
        by_order: defaultdict[str, list[Observation]] = defaultdict(list)
        for one in (*self.records(), *entries, *alarms_observed(self.world.groups["timer"].table)):
            by_order[one.order_id].append(one)
        numbered = sorted((one for one in self.seen if one.sequence is not None), key=attrgetter("source", "sequence"))
        placed = sorted(
            (one for one in self.seen if one.type == PLACED and one.topic == "order.events"),
            key=lambda one: str(one.data["payment"]["payment_id"]),
        )
        now = to_ms(self.world.bus.clock())
        alarms_at = to_ms(self.world.time()) - int(1000 * ALARMS_LATE) if self.alarms_tell() else 0
        said = [one for one in self.seen if one.topic == "people"]
        erased = people.erased(groupby(sorted(said, key=attrgetter("order_id", "offset")), attrgetter("order_id")))
        snapshot = Snapshot(now, alarms_at, FOR_EVER if self.world.clock_went_back else 0, erased=erased)
        report = Report()
        by_payment = groupby(placed, lambda one: str(one.data["payment"]["payment_id"]))
        check(by_order.items(), groupby(numbered, attrgetter("source")), by_payment, snapshot, report)
        return report


def entry_observed(booked: BookedEntry, at: int = 0) -> Observation:
    entry = booked.entry
    postings = [[-1, entry.from_account, -entry.amount_minor], [1, entry.to_account, entry.amount_minor]]
    data: Mapping[str, Any] = {"currency": entry.currency, "postings": postings}
    return Observation(booked.order_id, LEDGER, at=at, type=booked.event_type, id=booked.id, data=data)


def alarms_observed(table: Any) -> Iterator[Observation]:
    """What a timer service's table in memory will still ring."""
    for shard, armed in table.timers.items():
        rung = table.watermarks.get(shard)
        for timer in armed.values():
            if rung is None or timer.place > rung:
                yield Observation(timer.order_id, ALARMS, at=timer.due_at, id=timer.timer_id)
