"""The shard loop: records in, one commit, events out, in order. The heart of every service.

A shard is one partition number of one service: its input topics at that number, its rows, its outgoing events.

1. Claim: take the shard by epoch + 1, publish what is committed but not yet published, read from the stored offsets.
2. Batch: skip what was handled before, write dead letters for the unreadable, decide the rest in memory, in order.
3. Commit offsets, marks and events in one statement under the epoch: a process that lost its shard keeps nothing.
4. Publish after the commit, in order; a crash in between is repaired by the next claim.

What may not go wrong: an input has its effect exactly once; sequences are gapless; a shard's events reach each
partition in sequence order, repeats apart; a bug in one order stops that order alone, wherever it shows itself; an
outage loses nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from schemas.wire import TopicEntry
from shared.kernel.codec import Decoder, Unreadable
from shared.kernel.decider import Decider
from shared.kernel.envelope import DeadLetter
from shared.kernel.policies import Policies, PolicyMissing
from shared.kernel.ports import (
    Clock,
    Cursor,
    Fenced,
    Home,
    Input,
    InputSource,
    Outage,
    Publisher,
    Record,
    Source,
    Store,
    Unstorable,
)
from shared.kernel.stream import Stream, handle, may_resume
from shared.runtime.batch import Arrival, Batch, Shard, Work
from shared.runtime.clocks import ClockCheck, next_come, read_on
from shared.runtime.intake import Intake
from shared.runtime.loading import load
from shared.runtime.outages import Outages
from shared.runtime.outbox import Outbox
from shared.runtime.parking import Parking
from shared.runtime.problems import Problems
from shared.runtime.worlds import WorldCheck

log = logging.getLogger(__name__)

STREAMS_CACHED_MAX = 20_000
"""Orders that a process keeps in memory, 3 to 6 KB each; every shard an equal share."""
TAKE_WAIT = timedelta(seconds=0.25)


class ShardLoop:
    """Runs one service's decider over the shards it is told to own."""

    def __init__(
        self,
        decider: Decider[Any, Any, Any],
        policies: Policies,
        inputs: Sequence[InputSource],
        store: Store,
        source: Source,
        publisher: Publisher,
        clock: Clock,
        home: Home,
        owner: str,
    ) -> None:
        self.decider, self.policies, self.inputs = decider, policies, inputs
        self.store, self.source = store, source
        self.clock, self.home, self.owner = clock, home, owner
        self.decoder = Decoder(decider, home)
        self.shards: dict[int, Shard] = {}
        self.handled = 0
        self.stepped_at = clock()
        self.problems = Problems()
        self.outages = Outages(clock)
        self.clocks = ClockCheck(self.problems, clock)
        self.dropped: Callable[[], None] = lambda: None
        """Called when shards were dropped: whoever grants ownership should look again."""
        self.world = WorldCheck(decider.service, self.decoder.topics, store, source, self.problems, clock)
        self._turn = asyncio.Lock()
        self.outbox = Outbox(publisher, store, self.shards, clock, self.problems)
        self.parking = Parking(decider.service, store, self.shards, self.problems)
        self.intake = Intake(self.decoder, source, self.shards, self.clocks)

    # -- ownership -----------------------------------------------------------------------------------------------------

    async def claim(self, numbers: Sequence[int]) -> None:
        """Takes shards over: fence, inherit the unpublished tail, read on. Parked orders go on: this claim may be the
        first after a fix. A shard that does not fit the logs is ours, so that it is nobody's, and not served."""
        async with self._turn:
            claims = await self.store.claim(numbers, self.owner)
            taken = [Shard(claim, published_noted=claim.published) for claim in claims]
            self.shards.update({shard.claim.shard: shard for shard in taken})
        try:
            for shard in await self.world.fitting(taken):
                await self.outbox.inherit(shard)
                for source in self.inputs:
                    await source.opened(shard.claim.shard)
                async with self._turn:
                    if self._owned(shard):
                        shard.resuming = dict.fromkeys(sorted(shard.claim.parked), False)
                        read_on(self.source, shard, shard.claim.cursors)
                        shard.ready = True
        except BaseException:
            self._drop(taken)  # else they would be ours and never read
            raise

    async def look(self) -> None:
        """Compares shards with their rows and the logs: those that do not fit any more are dropped, so that they are
        claimed anew, and those that did not are claimed again now and then, for somebody may have put it right. Raises
        Outage, Fenced."""
        served = [shard for shard in self.shards.values() if shard.ready]
        try:
            await self.store.check([shard.claim for shard in served])
        except Fenced:
            if all(shard.ready for shard in served):  # else one of them was given away meanwhile
                log.warning("rows of shards were put back, or somebody has taken some: all are claimed anew")
                self._drop(served)
            raise
        if unfit := await self.world.look([shard for shard in served if shard.ready]):
            self._drop(unfit)
        due = self.world.due()
        for number in set(due).difference(self.shards):
            self.world.forget(number)
        if again := [number for number in due if number in self.shards]:
            await self.claim(again)

    async def release(self, numbers: Sequence[int], patience: float = 3.0) -> None:
        """Gives shards back: the batch in flight ends, what is committed is published if the broker lets us."""
        shards = [self.shards[number] for number in numbers if number in self.shards]
        self.source.pause([shard.claim.shard for shard in shards])
        async with self._turn:
            for shard in shards:
                shard.ready = False
        try:
            async with asyncio.timeout(patience):
                await self.outbox.emptied(shards)
        except TimeoutError:
            log.warning("released with unpublished events; the next owner publishes them", extra={"shards": numbers})
        shards = [shard for shard in shards if self._owned(shard)]
        self._drop(shards)
        self.outages.over(numbers)
        await self.store.release([shard.claim for shard in shards])

    def _owned(self, shard: Shard) -> bool:
        return self.shards.get(shard.claim.shard) is shard

    def _drop(self, shards: Iterable[Shard]) -> None:
        for shard in shards:
            if self._owned(shard):
                del self.shards[shard.claim.shard]
                self.clocks.forget(shard)
                self.source.pause([shard.claim.shard])
                for source in self.inputs:
                    source.closed(shard.claim.shard)
            shard.ready = False
        self.outbox.dropped()
        self.dropped()

    def drop(self, numbers: Sequence[int]) -> None:
        """Forgets shards that somebody else has taken."""
        self.outages.over(numbers)
        self._drop([self.shards[number] for number in numbers if number in self.shards])
        self.parking.forget(numbers)

    def cursors(self) -> dict[int, dict[str, Cursor]]:
        """How far each shard that we serve has got in each topic, by what is committed."""
        return {
            number: {topic: shard.claim.cursors.get(topic, Cursor()) for topic in self.decoder.topics}
            for number, shard in self.shards.items()
            if shard.ready
        }

    # -- one batch -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Takes and handles batches until cancelled. Raises for what it cannot explain: then the process must end, for
        nobody knows what is true any more, and the next owner starts from what is stored."""
        while True:
            due, wait = self.next_due(), TAKE_WAIT
            if due is not None and not any(shard.held for shard in self.shards.values()):  # its input may be held, too
                wait = max(min(wait, due - self.clocks.earlier(self.clock())), timedelta(0))
            records = await self.source.take(wait.total_seconds())
            if not await self.step(records):
                await asyncio.sleep(0.1)

    def next_due(self) -> datetime | None:
        """When the first of its own inputs or logs from the future is due, or at once what has waited and goes on."""
        if self.goes_on():
            return self.clock()
        dues = (*(source.next_due() for source in self.inputs), next_come(self.shards.values()))
        return min(filter(None, dues), default=None)

    def goes_on(self) -> bool:
        """Whether something that was parked is being handled now, a slice with every step."""
        return self.parking.next(self.policies) is not None

    async def step(self, records: Sequence[Record]) -> bool:
        """Handles one batch, whatever own inputs are due, and a slice of what has waited. False if shards of it had to
        be dropped."""
        async with self._turn:
            self.stepped_at = self.clock()
            self._hold_back()
            arrivals = self._arrivals(records)
            kept = await self._keep([shard for shard, _ in arrivals], self._settle(arrivals))
            if (going_on := self.parking.next(self.policies)) is not None:
                await asyncio.sleep(0)
                kept &= await self._keep([going_on[0]], self._go_on(*going_on))
            return kept

    def _hold_back(self) -> None:
        """Of whom too much waits for the broker nothing new is taken, until there is room again. A log from the future
        is read on when our clock has come there."""
        for number, shard in self.shards.items():
            goes_on = shard.ready and self.clocks.come(shard, self.stepped_at)
            if shard.ready and shard.held != shard.full:
                shard.held, goes_on = shard.full, not shard.full
                log.warning("held back" if shard.held else "goes on", extra={"shard": number})
                self.source.pause([number])
            if goes_on and not shard.held:
                read_on(self.source, shard, shard.claim.cursors)

    async def _keep(self, shards: Sequence[Shard], work: Coroutine[Any, Any, None]) -> bool:
        """Whether it could be done; else the shards are dropped, and claimed anew."""
        numbers = sorted({shard.claim.shard for shard in shards})
        try:
            await work
        except Fenced:
            log.warning("fenced: another process owns these shards now", extra={"shards": numbers})
        except (Outage, Unstorable) as outage:
            # The commit may have happened. Never retry blindly: start again from what is stored.
            log.warning("outage: %s", outage, extra={"shards": numbers})
            self.outages.met(numbers, outage)
        else:
            return True
        self._drop(shards)
        return False

    def _arrivals(self, records: Sequence[Record]) -> list[Arrival]:
        """Own inputs that are due, then the records in order."""
        now = self.clocks.earlier(self.clock())
        ready = {number: shard for number, shard in self.shards.items() if shard.ready and not shard.held}
        own: list[Arrival] = [
            (shard, due) for number, shard in ready.items() for source in self.inputs for due in source.due(now, number)
        ]
        return own + [(ready[record.partition], record) for record in records if record.partition in ready]

    async def _settle(self, arrivals: Sequence[Arrival]) -> None:
        """All of them in one commit. If a bug makes that impossible, in halves with a commit each, until what brings it
        about is alone: then that is parked."""
        batch = Batch(self.decider.service, self.home)
        if (bug := await self._refused(arrivals, batch)) is None:
            return
        batch.undo()
        # A process that was frozen decides on new state with an old cursor, which looks like a bug and is none.
        await self.store.check([shard.claim for shard in batch.claims])
        arrivals = [arrival for arrival in arrivals if not batch.is_suspended(arrival)]
        if len(arrivals) > 1:
            half = len(arrivals) // 2
            for some in (arrivals[:half], arrivals[half:]):
                await self._settle(some)
                await asyncio.sleep(0)
        elif arrivals:
            await self._park(arrivals[0], bug)

    async def _park(self, arrival: Arrival, bug: Exception) -> None:
        """What cannot be kept waits. If not even that can be kept its shard is not served for a while."""
        log.error("parked: what it leads to cannot be kept", exc_info=bug)
        worse = await self._refused([arrival], Batch(self.decider.service, self.home), bug)
        if worse is not None:
            shard = arrival[0]
            shard.ready = False
            self.source.pause([shard.claim.shard])
            asyncio.get_running_loop().call_later(self.parking.refused(arrival, worse), self._drop, [shard])

    async def _refused(self, some: Sequence[Arrival], batch: Batch, bug: Exception | None = None) -> Exception | None:
        """Handles and commits them; parks them instead where a `bug` is known. Returns the bug that is in the way."""
        try:
            self.intake.read(some, batch)
            if bug is None:
                await load(self.decider, self.store, batch)
            for work in batch.work:
                await self._handle(work, batch, bug)
            if commit := batch.commit():
                await self.store.commit(commit)
        except (Fenced, Outage):
            raise
        except Exception as met:
            return met
        self._adopt(batch, bool(commit))
        return None

    async def _go_on(self, shard: Shard, stream_id: str) -> None:
        await self._settle(await self.parking.slice(shard, stream_id))

    async def _handle(self, work: Work, batch: Batch, known: Exception | None) -> None:
        shard, found, waiting = work.shard, work.found, work.waiting
        if waiting is not None and not batch.goes_on(shard, waiting):
            return
        if known is not None:
            batch.stop(work, known)
            return
        if isinstance(found, DeadLetter):
            assert work.record is not None
            batch.dead_letter(shard, work.record, found)
        elif found is not None and waiting is None and found.stream_id in batch.claim(shard).parked:
            batch.park(shard, found, work.record)
            if may_resume(found.payload):
                batch.resumed.append((shard, found.stream_id))
        elif found is not None:
            try:
                self._decide(shard, found, batch)
            except Exception as bug:
                await self.store.check([shard.claim])  # as above: it may be none
                expected = isinstance(bug, Unreadable | PolicyMissing)
                about = {"order_id": found.stream_id, "input_id": found.id}
                log.error("parked: handling raised", exc_info=None if expected else bug, extra=about)
                batch.stop(work, bug)
                return
        if waiting is not None:
            batch.release(shard, waiting)

    def _decide(self, shard: Shard, found: Input, batch: Batch) -> None:
        if isinstance(found.payload, DeadLetter):
            raise Unreadable(found.payload.reason)
        if self.decider.is_stateless or isinstance(found.payload, TopicEntry):
            stream: Stream[Any] = Stream(found.stream_id)
        elif (shard, found.stream_id) in batch.unreadable:
            raise batch.unreadable[shard, found.stream_id]
        else:
            stream = shard.streams[found.stream_id]
            shard.streams.move_to_end(found.stream_id)
        batch.store(shard, found, handle(self.decider, stream, found, self.policies, batch.answers[shard.claim.shard]))

    def _adopt(self, batch: Batch, is_kept: bool) -> None:
        """The commit happened, or there was nothing to keep: the shards stand as it says. What was taken from us
        meanwhile, its owner publishes."""
        owned = {shard.claim.shard: shard for shard in batch.claims if self._owned(shard)}
        if is_kept:
            self.outages.over(owned)
        for shard in owned.values():
            claim = batch.claims[shard]
            shard.published_noted = max(shard.published_noted, claim.published)
            claim.published = max(claim.published, shard.claim.published)
            shard.claim = claim
            while len(shard.streams) > STREAMS_CACHED_MAX // len(self.shards):
                shard.streams.popitem(last=False)
        ours, now = [event for event in batch.events if event.shard in owned], self.clock()
        for event in ours:
            if event.topic is not None:
                owned[event.shard].pending.add(event, now)
        self.parking.adopt(batch)
        for source in self.inputs if is_kept else ():
            source.committed(ours)
        self.handled += len(batch.work)
        self.outbox.count()
