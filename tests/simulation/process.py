"""One process of one service: the real shard loop behind doors at which everything may go wrong.

Whatever a process does to the world it does through its store, its source, its publisher and the mail server. A fault
strikes as it crosses one of these doors, before the deed or after it, which is as good as anywhere: between two
crossings nothing leaves the process.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from schemas.topics import OUTSIDERS_WRITE
from shared.kernel.codec import OWN_INPUTS, Decoded, Decoder
from shared.kernel.decider import Decider
from shared.kernel.envelope import DeadLetter
from shared.kernel.policies import Policies
from shared.kernel.ports import (
    Claim,
    Commit,
    Fenced,
    Headers,
    Input,
    Log,
    Outage,
    Place,
    PlaceRefusal,
    Projection,
    Record,
    StoredEvent,
)
from shared.runtime.batch import Batch, Shard
from shared.runtime.memory import MemoryPublisher, MemorySource, MemoryStore
from shared.runtime.partitions import home_among
from shared.runtime.shard_loop import ShardLoop

if TYPE_CHECKING:
    from tests.simulation.group import Group

NEVER = float("-inf")
LOOK_AGAIN = 0.2
COMPARED_EVERY = 1.0
NOTICED_AFTER = 2.0
"""Virtual seconds, at most, until a process hears from its lease that its shards were taken."""


class Loop(ShardLoop):
    """Some of its rules may be broken for a while."""

    group: "Group"

    def _decide(self, shard: Shard, found: Input, batch: Batch) -> None:
        self.group.trips_over(found)
        super()._decide(shard, found, batch)


class OlderDecoder(Decoder):
    """Of some orders it does not know the types that others use: theirs are a newer version's."""

    group: "Group"

    def decode(self, record: Record, time: datetime) -> Decoded | DeadLetter | None:
        is_others = record.topic not in OUTSIDERS_WRITE | {OWN_INPUTS}
        known = not is_others or (record.key or b"").decode() not in self.group.newer
        return super().decode(record if known else replace(record, headers=_of_next_version(record)), time)


def _of_next_version(record: Record) -> Headers:
    return [(name, (raw or b"") + b".2" if name == "ce_type" else raw) for name, raw in record.headers]


class Store(MemoryStore):
    """This process's view of the service's rows."""

    def __init__(self, process: "Process", projections: Sequence[Projection]) -> None:
        super().__init__(projections)
        self.process, self.shards = process, process.group.shards

    async def claim(self, shards: Sequence[int], owner: str) -> list[Claim]:
        await self.process.crosses("claim")
        self.process.group.answers()
        locked, now = self.process.group.locked, self.process.group.world.now()
        claims = await super().claim([shard for shard in shards if locked.get(shard, now) <= now], owner)
        await self.process.crosses("claimed")
        self.process.group.answers()
        return claims

    async def release(self, claims: Sequence[Claim]) -> None:
        await self.process.crosses("release")
        self.process.group.answers()
        await super().release(claims)
        await self.process.crosses("released")

    async def check(self, claims: Sequence[Claim]) -> None:
        await self.process.crosses("check")
        self.process.group.answers()
        await super().check(claims)

    async def load(self, streams: Sequence[tuple[int, str]]) -> dict[tuple[int, str], list[StoredEvent]]:
        await self.process.crosses("load")
        self.process.group.answers()
        return await super().load(streams)

    async def answered(self, commands: Sequence[tuple[int, bytes, bytes]]) -> list[StoredEvent]:
        await self.process.crosses("answered")
        self.process.group.answers()
        return await super().answered(commands)

    async def commit(self, commit: Commit) -> None:
        await self.process.crosses("commit")
        self.process.group.answers()
        world, shards = self.process.group.world, [claim.shard for claim in commit.claims]
        unfit = world.disasters.older(self.process.group, shards)
        await super().commit(commit)
        for shard in unfit:
            world.finds(f"{self.process.name} goes on with shard {shard}, whose database is older than the bus")
        self.process.group.committed(commit)
        await self.process.crosses("committed")
        self.process.group.answers()

    async def unpublished(self, claim: Claim, limit: int) -> list[StoredEvent]:
        await self.process.crosses("unpublished")
        self.process.group.answers()
        return await super().unpublished(claim, limit)

    async def note_published(self, claims: Sequence[Claim]) -> None:
        await self.process.crosses("note published")
        self.process.group.answers()
        await super().note_published(claims)


class Publisher(MemoryPublisher):
    def __init__(self, process: "Process") -> None:
        super().__init__(process.group.world.bus, process.group.service)
        self.process = process

    async def send(self, rows: Sequence[StoredEvent]) -> Mapping[Place, PlaceRefusal]:
        until, now = self.process.group.world.refuses_until, self.process.group.world.now()
        lost = self.process.group.world.disasters.lost
        refused = {
            (row.topic or "", row.partition): PlaceRefusal(0, "as planned")
            for row in rows
            if until[row.topic] > now or row.topic in lost
        }
        taken = [row for row in rows if (row.topic or "", row.partition) not in refused]
        half = len(taken) // 2
        await self._send("send", taken[:half], now)
        await self._send("sending", taken[half:], now)
        await self.process.crosses("sent")
        self.process.group.broker_answers()
        self.process.has_published.set()
        return refused

    async def _send(self, door: str, rows: Sequence[StoredEvent], since: float) -> None:
        if not rows:
            return
        await self.process.crosses(door)
        self.process.group.broker_answers()
        if any(row.topic in self.process.group.world.disasters.lost for row in rows):
            raise Outage("the topic was lost meanwhile")
        await super().send(rows)
        for row in rows:
            self.process.group.world.disasters.says(self.process, row, since)
            self.process.group.unsent[row.shard].discard(row.position)


class Source(MemorySource):
    """Brings what lies on the bus, but each topic in its own time. An idle loop looks four times a second; here it
    sleeps until there is something to see: a record, an instant of its own inputs, shards that became its own."""

    def __init__(self, process: "Process", topics: Sequence[str]) -> None:
        super().__init__(process.group.world.bus, topics, process.group.service)
        self.process = process
        self.ready_at: dict[tuple[str, int], float] = {}
        self._news = asyncio.Event()
        self.process.group.world.bus.listen(topics, self._news.set)

    def resume(self, shard: int, offsets: Mapping[str, int]) -> None:
        for topic in self.topics:  # there are holes in the log: what is next is not at its offset's place
            log = self.bus.logs.get((topic, shard), [])
            self.next[topic, shard] = bisect_left(log, offsets.get(topic, 0), key=lambda record: record.offset)
        self._news.set()

    def again(self, records: int) -> None:
        """What was delivered is delivered once more, as after a seek that went too far back."""
        self.next = {place: max(offset - records, 0) for place, offset in self.next.items()}
        self._news.set()

    async def logs(self, shards: Sequence[int]) -> Mapping[Place, Log]:
        lost = self.process.group.world.disasters.lost
        found = await super().logs(shards)
        return {place: log for place, log in found.items() if not lost.get(place[0])}

    async def take(self, wait: float) -> Sequence[Record]:
        while True:
            await self.process.crosses("take")
            self._news.clear()
            records = self._some()
            if records:
                await self.process.crosses("taken")
                return records
            if self.process.due_in() <= 0:
                await asyncio.sleep(0.001)  # or a shard that is not ready yet would be asked without end
                return ()
            if await self._sleep():
                return ()

    def _some(self) -> list[Record]:
        """Of each topic what has arrived by now, perhaps not all of it."""
        world = self.process.group.world
        taken: list[Record] = []
        if world.now() < world.broker_down_until:
            return taken
        for place, offset in self.next.items():
            log = self.bus.logs.get(place, ())
            if offset >= len(log):
                continue
            ready_at = self.ready_at.get(place)
            if ready_at is None:
                ready_at = self.ready_at[place] = world.now() + world.hesitation()
            if ready_at <= world.now():
                del self.ready_at[place]
                end = world.some_of(offset, len(log))
                taken += log[offset:end]
                self.next[place] = end
        return taken

    async def _sleep(self) -> bool:
        """Until there may be something to do; True if that is not a record."""
        world = self.process.group.world
        arrivals = [
            max(self.ready_at[place], world.broker_down_until)
            for place, offset in self.next.items()
            if place in self.ready_at and offset < len(self.bus.logs.get(place, ()))
        ]
        wait = min([self.process.due_in(), *(at - world.now() for at in arrivals)])
        before = dict(self.next)
        try:
            async with asyncio.timeout(wait if wait < float("inf") else None):
                await self._news.wait()
        except TimeoutError:
            return wait == self.process.due_in()
        return before.keys() != self.next.keys()


class Process:
    def __init__(
        self, group: "Group", number: int, decider: Decider[Any, Any, Any], rules: Policies, topics: Sequence[str]
    ) -> None:
        self.group, self.name = group, f"{group.service}-{number}"
        self.alive = True
        self.clock_wrong = timedelta(0)
        parts = group.parts(self)
        self.has_published = asyncio.Event()
        self.thawed = asyncio.Event()
        self.thawed.set()
        self.source = Source(self, topics)
        self.loop = Loop(
            decider,
            rules,
            parts.inputs,
            Store(self, parts.projections),
            self.source,
            Publisher(self),
            self.clock,
            home_among(group.world.bus.partitions),
            self.name,
        )
        self.loop.group = group
        self.loop.decoder = self.loop.intake.decoder = older = OlderDecoder(decider, self.loop.home)
        older.group = group
        self.compared = NEVER, NEVER
        """From when to when it compared rows and logs last …"""
        self.compared_at: dict[int, int] = {}
        """… and at which position each shard stood for it then."""
        self.wake = asyncio.Event()
        self.loop.dropped = self.wake.set
        self.tasks = [
            asyncio.create_task(self._or_die(work))
            for work in (
                self.loop.run,
                self.loop.outbox.keep_publishing,
                self._keep,
                self._note_published,
                self._keep_comparing,
            )
        ]

    def clock(self) -> datetime:
        return self.group.world.time() + self.clock_wrong

    def due_in(self) -> float:
        due = self.loop.next_due()
        return float("inf") if due is None else (due - self.clock()).total_seconds()

    async def crosses(self, door: str) -> None:
        """Where a fault strikes; a process that is dead by then goes no further, a frozen one later."""
        world = self.group.world
        if not self.alive:
            raise asyncio.CancelledError
        for fault in self.group.struck():
            world.strike(fault, self, door)
        if world.plan.hesitation and (delay := world.hesitation()):
            await asyncio.sleep(delay)
        if not self.thawed.is_set():
            await self.thawed.wait()
        if not self.alive:
            raise asyncio.CancelledError

    def kill(self) -> None:
        """Nothing it had begun touches the world any more."""
        self.alive = False
        self.thawed.set()
        for task in self.tasks:
            task.cancel()

    async def _or_die(self, work: Callable[[], Awaitable[None]]) -> None:
        """What nobody foresaw ends a process (application.py); here it is a finding."""
        try:
            await work()
        except Exception as bug:
            self.group.world.finds(f"a process of {self.group.service} died: {type(bug).__name__}: {bug}")
            self.group.world.crash(self, LOOK_AGAIN)

    async def _keep(self) -> None:
        """What the lease does: claims what is meant for it, gives back what is not, drops what was taken."""
        group = self.group
        while True:
            self.wake.clear()
            held = sorted(self.loop.shards)
            if taken := [shard for shard in held if group.holder.get(shard) is not self]:
                await asyncio.sleep(group.world.chance.uniform(0, NOTICED_AFTER))
                await self.thawed.wait()
                self.loop.drop(taken)
                continue
            wanted = [shard for shard, owner in group.owner.items() if owner is self]
            free = [shard for shard in wanted if shard not in held and _free(group.holder.get(shard), self)]
            group.given_back(set(group.owner).difference(held, wanted), self)  # a claim that failed, no longer meant
            try:
                if extra := [shard for shard in held if shard not in wanted]:
                    await self.loop.release(extra)
                    group.given_back(extra, self)
                if free:
                    group.holder |= dict.fromkeys(free, self)
                    await self.loop.claim(free)
                    if not self.loop.shards.keys() >= set(free):
                        await asyncio.sleep(LOOK_AGAIN)  # somebody holds a row
            except (Outage, Fenced):
                await asyncio.sleep(LOOK_AGAIN)
                continue
            if not (extra or free):
                await self.wake.wait()

    async def _keep_comparing(self) -> None:
        """Every second (application.py), as long as there may be something to see: else it changes nothing."""
        world = self.group.world
        while True:
            await world.disasters.under_way.wait()
            await asyncio.sleep(COMPARED_EVERY)
            await self.thawed.wait()
            began = world.now()
            stood = {number: shard.claim.position for number, shard in self.loop.shards.items() if shard.ready}
            try:
                await self.loop.look()
            except (Outage, Fenced):
                continue
            self.compared, self.compared_at = (began, world.now()), stood

    async def _note_published(self) -> None:
        """Housekeeping, once things have calmed down; a courtesy (application.py)."""
        while True:
            await self.has_published.wait()
            self.has_published.clear()
            await asyncio.sleep(self.group.world.plan.noted_after)
            try:
                await self.loop.outbox.note_published()
            except Outage:
                continue


def _free(holder: Process | None, process: Process) -> bool:
    return holder is None or holder is process or not holder.alive
