"""Which timers ring next: the near ones of each shard in a heap, all of them in a table.

Everything at or before a shard's watermark has rung; what could not, for its order is parked, was moved behind it. The
heap holds every timer after the watermark up to `covered`, so memory is bounded however many are pending, and the next
page is read when the heap runs low. Heap and table move together: what is written in a commit is applied to the heap
right after it, and nothing runs in between.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol, cast

from schemas.timer.events import Elapsed, Scheduled, TimerCancelled
from schemas.wire import Service
from services.timer.domain import Due
from shared.kernel.agenda import Agenda, Written
from shared.kernel.decider import Input
from shared.kernel.ports import EPOCH, Fenced

PAGE = 1_000
"""Of each shard a few times as many are held in memory at most."""
RING_AT_ONCE_MAX = 500
SWEEP_EVERY = 1_000
PAUSE = 1_000
"""ms. A clock that is ahead rings too early, is asked again for an instant that it takes for past, rings, is asked
again …: by its own measure the same timer then rings once in so long, until the clocks agree."""
MILLISECOND = timedelta(milliseconds=1)


class Place(NamedTuple):
    """Where a timer stands in the order of ringing."""

    ring_at: int
    timer_id: str


BEGINNING = Place(0, "")
END = Place(2**62, "")


@dataclass(frozen=True, slots=True)
class Timer:
    timer_id: str
    ring_at: int
    """ms. A millisecond after `due_at` at the earliest: at the instant itself the deadline has not passed (R0)."""
    due_at: int
    name: str
    deliver_to: str
    order_id: str
    correlation_id: str

    @property
    def place(self) -> Place:
        return Place(self.ring_at, self.timer_id)


@dataclass(slots=True)
class Change:
    """What one commit does to one shard's timers."""

    rung: set[str] = field(default_factory=set)
    armed: dict[str, Timer] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    watermark: Place = BEGINNING
    swept: bool = False
    page: list[Timer] | None = None


class Table(Protocol):
    """The durable side; its writes are part of the commit that `transaction` belongs to."""

    async def watermark(self, shard: int) -> Place: ...

    async def page(self, transaction: Any, shard: int, after: Place, limit: int) -> list[Timer]: ...

    async def write(self, transaction: Any, changes: dict[int, Change]) -> None: ...


@dataclass(slots=True)
class _Shard:
    watermark: Place
    covered: Place = END
    heap: list[Place] = field(default_factory=list)
    near: dict[str, Timer] = field(default_factory=dict)
    ringing: dict[str, Timer] = field(default_factory=dict)
    """Handed out, and nothing committed of it."""
    rung_since_sweep: int = 0
    rung_at: dict[str, int] = field(default_factory=dict)
    """ms by our clock; of what was handed out within the last `PAUSE`, the oldest first."""

    def add(self, timers: Iterable[Timer]) -> None:
        for timer in timers:
            self.near[timer.timer_id] = timer
            heapq.heappush(self.heap, timer.place)

    def first(self) -> Timer | None:
        """The next to ring; places that moved or were cancelled are let go of on the way."""
        while self.heap:
            place = self.heap[0]
            timer = self.near.get(place.timer_id)
            if timer is not None and timer.place == place:
                return timer
            heapq.heappop(self.heap)
        return None

    def rings(self, timer: Timer, now: int) -> None:
        """It is handed out."""
        heapq.heappop(self.heap)
        self.ringing[timer.timer_id] = self.near.pop(timer.timer_id)
        self.rung_at.pop(timer.timer_id, None)
        self.rung_at[timer.timer_id] = now
        while not now - PAUSE < (oldest := next(iter(self.rung_at.items())))[1] <= now:  # our clock may step back
            del self.rung_at[oldest[0]]

    def left_behind(self, change: Change) -> dict[str, Timer]:
        """Timers that were handed out and have not rung, for their order is parked, while later ones have: moved, or
        they would be taken for rung."""
        silent = self.ringing.keys() - change.rung - change.armed.keys() - change.cancelled
        return {
            timer.timer_id: replace(timer, ring_at=self.rings_from(timer.timer_id, timer.due_at, change.watermark))
            for timer in map(self.ringing.__getitem__, sorted(silent))
            if timer.place <= change.watermark
        }

    def rings_from(self, timer_id: str, due_at: int, watermark: Place) -> int:
        """A past instant rings at once: after what has rung already, or it would be taken for rung."""
        rung_at = self.rung_at.get(timer_id)
        pause_ends = rung_at + PAUSE if rung_at is not None and due_at < rung_at else 0
        return max(due_at + 1, watermark.ring_at + 1, pause_ends)


class TimerAgenda(Agenda):
    def __init__(self, table: Table) -> None:
        self.table = table
        self.shards: dict[int, _Shard] = {}
        self._changes: dict[int, Change] = {}

    async def opened(self, shard: int) -> None:
        opened = _Shard(await self.table.watermark(shard))
        page = await self.table.page(None, shard, opened.watermark, PAGE)
        opened.covered = page[-1].place if len(page) == PAGE else END
        opened.add(page)
        self.shards[shard] = opened

    def closed(self, shard: int) -> None:
        self.shards.pop(shard, None)

    def due(self, now: datetime, shard: int) -> Sequence[Input]:
        opened, now_ms = self.shards[shard], (now - EPOCH) // MILLISECOND
        ringing: list[Input] = []
        while (timer := opened.first()) and timer.ring_at <= now_ms and len(ringing) < RING_AT_ONCE_MAX:
            opened.rings(timer, now_ms)
            due = Due(timer.timer_id, timer.name, EPOCH + timer.due_at * MILLISECOND, cast(Service, timer.deliver_to))
            cause = f"{timer.timer_id}@{timer.ring_at}"  # unlike `due_at` never the same again after it has rung
            ringing.append(Input(due, "timer.due", timer.order_id, cause, now, timer.correlation_id))
        return ringing

    def next_due(self) -> datetime | None:
        firsts = [timer.ring_at for opened in self.shards.values() if (timer := opened.first())]
        return EPOCH + min(firsts) * MILLISECOND if firsts else None

    async def write(self, transaction: Any, written: Sequence[Written]) -> None:
        changes: dict[int, Change] = {}
        shards = dict(self.shards)
        for one in written:
            if one.shard not in shards:
                raise Fenced
            opened = shards[one.shard]
            change = changes.setdefault(one.shard, Change(watermark=opened.watermark))
            match one.message:
                case Elapsed(timer_id=timer_id):
                    change.rung.add(timer_id)
                    change.watermark = max(change.watermark, opened.ringing[timer_id].place)
                case Scheduled() as scheduled:
                    change.cancelled.discard(scheduled.timer_id)
                    change.armed[scheduled.timer_id] = _timer(one, scheduled, opened, change.watermark)
                case TimerCancelled(timer_id=timer_id):
                    change.armed.pop(timer_id, None)
                    change.cancelled.add(timer_id)
        for shard, change in changes.items():
            change.armed |= shards[shard].left_behind(change)
            change.swept = shards[shard].rung_since_sweep >= SWEEP_EVERY
        await self.table.write(transaction, changes)
        for shard, change in changes.items():
            opened = shards[shard]
            staying = len(opened.near) - len(change.cancelled) - len(change.armed)  # at least: whoever moves may go far
            if opened.covered != END and staying < PAGE // 2:
                change.page = await self.table.page(transaction, shard, opened.covered, PAGE)
        self._changes = changes

    def committed(self, written: Sequence[Written]) -> None:
        changes, self._changes = self._changes, {}
        for shard, change in changes.items():
            opened = self.shards.get(shard)
            if opened is not None:
                self._apply(opened, change)

    @staticmethod
    def _apply(opened: _Shard, change: Change) -> None:
        opened.rung_since_sweep = 0 if change.swept else opened.rung_since_sweep + len(change.rung)
        opened.watermark = change.watermark
        for timer_id in change.rung:
            del opened.ringing[timer_id]
        for timer_id in change.cancelled | change.armed.keys():
            opened.near.pop(timer_id, None)
            opened.ringing.pop(timer_id, None)
        opened.add(timer for timer in change.armed.values() if timer.place <= opened.covered)
        if change.page is not None:
            opened.covered = change.page[-1].place if len(change.page) == PAGE else END
            opened.add(change.page)
        if len(opened.near) > 2 * PAGE:
            nearest = heapq.nsmallest(PAGE, opened.near.values(), key=lambda timer: timer.place)
            opened.near, opened.heap = {}, []
            opened.add(nearest)
            opened.covered = nearest[-1].place


def _timer(one: Written, scheduled: Scheduled, opened: _Shard, watermark: Place) -> Timer:
    due_at = (scheduled.due_at - EPOCH) // MILLISECOND
    return Timer(
        scheduled.timer_id,
        opened.rings_from(scheduled.timer_id, due_at, watermark),
        due_at,
        scheduled.name,
        scheduled.deliver_to,
        one.order_id,
        one.correlation_id,
    )


class MemoryTable:
    """The simulated durable side."""

    def __init__(self) -> None:
        self.timers: dict[int, dict[str, Timer]] = {}
        self.watermarks: dict[int, Place] = {}

    async def watermark(self, shard: int) -> Place:
        return self.watermarks.get(shard, BEGINNING)

    async def page(self, transaction: Any, shard: int, after: Place, limit: int) -> list[Timer]:
        timers = [timer for timer in self.timers.get(shard, {}).values() if timer.place > after]
        return sorted(timers, key=lambda timer: timer.place)[:limit]

    async def write(self, transaction: Any, changes: dict[int, Change]) -> None:
        for shard, change in changes.items():
            timers = self.timers.setdefault(shard, {})
            timers |= change.armed
            for timer_id in change.cancelled:
                timers.pop(timer_id, None)
            self.watermarks[shard] = change.watermark
            if change.swept:
                for timer in [timer for timer in timers.values() if timer.place <= change.watermark]:
                    del timers[timer.timer_id]
