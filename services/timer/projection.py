"""Which timers fire next: the near ones of each shard in a heap, all of them in a table.

Everything at or before a shard's watermark has fired, or waits with its parked order. The heap holds every timer after
the watermark up to `covered`, so memory is bounded however many are pending, and the next page is read when the heap
runs low. Heap and table move together: what is written in a commit is applied to the heap right after it, and nothing
runs in between.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple, Protocol, cast

from schemas.instants import from_ms, to_ms
from schemas.timer.commands import CancelTimer, Schedule
from schemas.timer.events import TimerRejected
from schemas.wire import Service
from services.timer.domain import DUE, Due
from shared.kernel.ports import Fenced, Input, StoredEvent

PAGE = 1_000
"""Of each shard a few times as many are held in memory at most."""
FIRE_AT_ONCE_MAX = 500
SWEEP_EVERY = 1_000
PAUSE, PAUSE_MAX = 1_000, 60_000
"""ms. A clock that is ahead fires too early, is asked again for an instant that it takes for past; it fires, is asked
again …: by its own measure the same timer then waits so long before it fires, and twice as long each time, until it is
asked for something else."""


class TimerPlace(NamedTuple):
    """Where a timer stands in the order of firing."""

    fire_at: int
    timer_id: str


BEGINNING = TimerPlace(0, "")
END = TimerPlace(2**62, "")


@dataclass(frozen=True, slots=True)
class _Pause:
    began: int
    """ms, by our clock."""
    length: int
    """ms."""


@dataclass(frozen=True, slots=True)
class Timer:
    timer_id: str
    fire_at: int
    """ms. A millisecond after `due_at` at the earliest: at the instant itself the deadline has not passed (R0)."""
    due_at: int
    name: str
    deliver_to: str
    order_id: str
    correlation_id: str

    @property
    def place(self) -> TimerPlace:
        return TimerPlace(self.fire_at, self.timer_id)


@dataclass(slots=True)
class TimerChange:
    """What one commit does to one shard's timers."""

    fired: set[str] = field(default_factory=set)
    armed: dict[str, Timer] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    watermark: TimerPlace = BEGINNING
    swept: bool = False
    back_to: TimerPlace | None = None
    """Where the watermark stands afterwards, if not there."""
    page: list[Timer] | None = None


class TimerTable(Protocol):
    """The durable side; its writes are part of the commit that `transaction` belongs to."""

    async def watermark(self, shard: int) -> TimerPlace: ...

    async def page(self, transaction: Any, shard: int, after: TimerPlace, limit: int) -> list[Timer]: ...

    async def write(self, transaction: Any, changes: dict[int, TimerChange]) -> None: ...


@dataclass(slots=True)
class _Shard:
    watermark: TimerPlace
    covered: TimerPlace = END
    heap: list[TimerPlace] = field(default_factory=list)
    near: dict[str, Timer] = field(default_factory=dict)
    firing: dict[str, Timer] = field(default_factory=dict)
    """Handed out, and nothing committed of it."""
    fired_since_sweep: int = 0
    now: int = END.fire_at
    """ms; when it was last asked what is due. END's: never yet."""
    pauses: dict[str, _Pause] = field(default_factory=dict)
    """Of those that fired too early within the last `2 * PAUSE_MAX`, the oldest first."""

    def add(self, timers: Iterable[Timer]) -> None:
        for timer in timers:
            self.near[timer.timer_id] = timer
            heapq.heappush(self.heap, timer.place)

    def first(self) -> Timer | None:
        """The next to fire; places that moved or were cancelled are let go of on the way."""
        while self.heap:
            place = self.heap[0]
            timer = self.near.get(place.timer_id)
            if timer is not None and timer.fire_at == place.fire_at:
                return timer
            heapq.heappop(self.heap)
        return None

    @property
    def fired_ahead(self) -> bool:
        """What is not past yet has fired, for our clock was ahead. Until the watermark is taken back, which the next
        commit does, what was set since then lies behind it and not where it should be."""
        return self.now + PAUSE_MAX < self.watermark.fire_at

    def rings_at(self, first: Timer) -> int:
        """ms."""
        return min(timer.due_at for timer in self.near.values()) + 1 if self.fired_ahead else first.fire_at

    def taken_back(self, change: TimerChange) -> None:
        """Lets nothing before the watermark stand, sets it to now, and puts all where it should be."""
        change.swept, change.back_to = True, TimerPlace(self.now, "")
        gone = change.fired | change.cancelled
        staying = {name: timer for name, timer in self.near.items() if name not in gone} | change.armed
        change.armed |= {
            name: replace(timer, fire_at=max(timer.due_at, self.now) + 1) for name, timer in staying.items()
        }

    def fires(self, timer: Timer) -> None:
        """It is handed out."""
        heapq.heappop(self.heap)
        self.firing[timer.timer_id] = self.near.pop(timer.timer_id)

    def armed(self, wish: Schedule, correlation_id: str, watermark: TimerPlace) -> Timer:
        """A past instant fires at once: after what has fired already, or it would be taken for fired."""
        due_at = to_ms(wish.due_at)
        fire_at = max(due_at + 1, watermark.fire_at + 1, self._pause_ends(wish, due_at))
        return Timer(wish.timer_id, fire_at, due_at, wish.name, wish.deliver_to, wish.order_id, correlation_id)

    def _pause_ends(self, wish: Schedule, due_at: int) -> int:
        before = self.pauses.pop(wish.timer_id, None)
        if not (wish.rang_early and due_at < self.now < END.fire_at):
            return 0
        length = min(2 * before.length, PAUSE_MAX) if before and before.began <= self.now else PAUSE
        self.pauses[wish.timer_id] = _Pause(self.now, length)
        while not self.now - 2 * PAUSE_MAX < (oldest := next(iter(self.pauses.items())))[1].began <= self.now:
            del self.pauses[oldest[0]]  # it may step back
        return self.now + length


class Timers:
    def __init__(self, table: TimerTable) -> None:
        self.table = table
        self.shards: dict[int, _Shard] = {}
        self._changes: dict[int, TimerChange] = {}

    async def opened(self, shard: int) -> None:
        opened = _Shard(await self.table.watermark(shard))
        page = await self.table.page(None, shard, opened.watermark, PAGE)
        opened.covered = page[-1].place if len(page) == PAGE else END
        opened.add(page)
        self.shards[shard] = opened

    def closed(self, shard: int) -> None:
        self.shards.pop(shard, None)

    def due(self, now: datetime, shard: int) -> Sequence[Input]:
        opened, now_ms = self.shards[shard], to_ms(now)
        firing: list[Input] = []
        opened.now = now_ms
        while (timer := opened.first()) and opened.rings_at(timer) <= now_ms and len(firing) < FIRE_AT_ONCE_MAX:
            opened.fires(timer)
            due = Due(timer.timer_id, timer.name, from_ms(timer.due_at), cast(Service, timer.deliver_to))
            cause = f"{timer.timer_id}@{timer.fire_at}/{now_ms}"  # unlike `due_at` never the same again
            firing.append(Input(due, DUE, timer.order_id, cause, now, timer.correlation_id))
        return firing

    def next_due(self) -> datetime | None:
        firsts = [opened.rings_at(timer) for opened in self.shards.values() if (timer := opened.first())]
        return from_ms(min(firsts)) if firsts else None

    def overdue(self, before: datetime) -> int:
        """How many near timers should have fired by then and were not handed out."""
        latest = to_ms(before)
        return sum(
            (timer.due_at if opened.fired_ahead else timer.fire_at) <= latest
            for opened in self.shards.values()
            for timer in opened.near.values()
        )

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        changes: dict[int, TimerChange] = {}
        shards = dict(self.shards)

        def of(shard: int) -> tuple[_Shard, TimerChange]:
            if shard not in shards:
                raise Fenced
            return shards[shard], changes.setdefault(shard, TimerChange(watermark=shards[shard].watermark))

        for shard, found in inputs:
            if isinstance(found.payload, Due) and not found.waited:  # what has waited left the table when it began to
                opened, change = of(shard)
                change.fired.add(found.payload.timer_id)
                change.watermark = max(change.watermark, opened.firing[found.payload.timer_id].place)
        refused = {(one.shard, one.command_id, one.digest) for one in events if isinstance(one.message, TimerRejected)}
        for shard, found in inputs:  # after all that fires: whatever is armed now stands behind it
            if (shard, found.id, found.digest) in refused:
                continue
            match found.payload:
                case Schedule(timer_id=timer_id) as wish:
                    opened, change = of(shard)
                    change.cancelled.discard(timer_id)
                    change.armed[timer_id] = opened.armed(wish, found.correlation_id, change.watermark)
                case CancelTimer(timer_id=timer_id):
                    _, change = of(shard)
                    change.armed.pop(timer_id, None)
                    change.cancelled.add(timer_id)
        for shard, change in changes.items():
            change.swept = shards[shard].fired_since_sweep >= SWEEP_EVERY
            if shards[shard].fired_ahead:
                shards[shard].taken_back(change)
        await self.table.write(transaction, changes)
        for shard, change in changes.items():
            opened = shards[shard]
            staying = len(opened.near) - len(change.cancelled) - len(change.armed)  # at least: whoever moves may go far
            if opened.covered != END and staying < PAGE // 2:
                change.page = await self.table.page(transaction, shard, opened.covered, PAGE)
        self._changes = changes

    def committed(self, events: Sequence[StoredEvent]) -> None:
        changes, self._changes = self._changes, {}
        for shard, change in changes.items():
            opened = self.shards.get(shard)
            if opened is not None:
                self._apply(opened, change)

    @staticmethod
    def _apply(opened: _Shard, change: TimerChange) -> None:
        opened.fired_since_sweep = 0 if change.swept else opened.fired_since_sweep + len(change.fired)
        opened.watermark = change.back_to or change.watermark
        for timer_id in change.fired:
            del opened.firing[timer_id]
        for timer_id in change.cancelled | change.armed.keys():
            opened.near.pop(timer_id, None)
            opened.firing.pop(timer_id, None)
        opened.add(timer for timer in change.armed.values() if timer.place <= opened.covered)
        if change.page is not None:
            opened.covered = change.page[-1].place if len(change.page) == PAGE else END
            opened.add(change.page)
        if len(opened.near) > 2 * PAGE:
            nearest = heapq.nsmallest(PAGE, opened.near.values(), key=lambda timer: timer.place)
            opened.near, opened.heap = {}, []
            opened.add(nearest)
            opened.covered = nearest[-1].place

    async def stop(self) -> None:
        """Nothing was started."""


class MemoryTimerTable:
    """The simulated durable side."""

    def __init__(self) -> None:
        self.timers: dict[int, dict[str, Timer]] = {}
        self.watermarks: dict[int, TimerPlace] = {}

    async def watermark(self, shard: int) -> TimerPlace:
        return self.watermarks.get(shard, BEGINNING)

    async def page(self, transaction: Any, shard: int, after: TimerPlace, limit: int) -> list[Timer]:
        timers = [timer for timer in self.timers.get(shard, {}).values() if timer.place > after]
        return sorted(timers, key=lambda timer: timer.place)[:limit]

    async def write(self, transaction: Any, changes: dict[int, TimerChange]) -> None:
        for shard, change in changes.items():
            timers = self.timers.setdefault(shard, {})
            if change.swept:
                for timer in [timer for timer in timers.values() if timer.place <= change.watermark]:
                    del timers[timer.timer_id]
            timers |= change.armed
            for timer_id in change.cancelled:
                timers.pop(timer_id, None)
            self.watermarks[shard] = change.back_to or change.watermark
