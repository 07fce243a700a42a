"""The shard loop: records in, one commit, events out, in order. The heart of every service.

A shard is one partition number of one service: its input topics at that number, its rows, its outgoing events.

1. Claim: take the shard by epoch + 1, publish what is committed but not yet published, read from the stored offsets.
2. Batch: skip what was handled before, write dead letters for the unreadable, decide the rest in memory, in order.
3. Commit offsets, marks and events in one statement under the epoch: a process that lost its shard keeps nothing.
4. Publish after the commit, in order; a crash in between is repaired by the next claim.

What may not go wrong: an input has its effect exactly once; sequences are gapless; a shard's events reach each
partition in sequence order, repeats apart; a bug in one order stops that order alone; an outage loses nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from schemas.instants import from_ms
from shared.kernel.codec import DeadLetter, Decoded, Decoder, Home
from shared.kernel.decider import Decider
from shared.kernel.policies import Policies, PolicyMissing
from shared.kernel.ports import (
    Clock,
    Cursor,
    Fenced,
    Input,
    InputSource,
    Outage,
    Publisher,
    Record,
    Source,
    Store,
)
from shared.kernel.stream import Stream, folded, handle, may_resume
from shared.runtime.batch import Batch, Shard, Work
from shared.runtime.outages import Outages
from shared.runtime.outbox import Outbox
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
        self.dropped: Callable[[], None] = lambda: None
        """Called when shards were dropped: whoever grants ownership should look again."""
        self.world = WorldCheck(decider.service, self.decoder.topics, store, source, self.problems, clock)
        self._turn = asyncio.Lock()
        self.outbox = Outbox(publisher, store, self.shards, clock, self.problems)

    # -- ownership -----------------------------------------------------------------------------------------------------

    async def claim(self, numbers: Sequence[int]) -> None:
        """Takes shards over: fence, inherit the unpublished tail, look at parked orders again, read on. One that does
        not fit the logs is ours, so that it is nobody's, and not served."""
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
                    for stream_id in list(shard.claim.parked):  # this claim may be the first after a fix
                        await self._resume(shard, stream_id, aloud=False)
                    if self._owned(shard):
                        offsets = {
                            topic: shard.claim.cursors.get(topic, Cursor()).offset for topic in self.decoder.topics
                        }
                        self.source.resume(shard.claim.shard, offsets)
                        shard.ready = True
        except BaseException:
            self._drop(taken)  # else they would be ours and never read
            raise

    async def look(self) -> None:
        """Compares shards with the logs: those that do not fit any more are dropped, so that they are claimed anew, and
        those that did not are claimed again now and then, for somebody may have put it right. Raises Outage, Fenced."""
        if unfit := await self.world.look([shard for shard in self.shards.values() if shard.ready]):
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
                wait = max(min(wait, due - self.clock()), timedelta(0))
            records = await self.source.take(wait.total_seconds())
            if not await self.step(records):
                await asyncio.sleep(0.1)

    def next_due(self) -> datetime | None:
        """When the first of its own inputs is due."""
        return min(filter(None, (source.next_due() for source in self.inputs)), default=None)

    async def step(self, records: Sequence[Record]) -> bool:
        """Handles one batch, and whatever own inputs are due. False if its shards had to be dropped."""
        async with self._turn:
            batch = Batch(self.decider.service, self.home)
            self.stepped_at = self.clock()
            self._hold_back()
            try:
                self._read(records, batch)
                await self._settle(batch)
            except Fenced:
                log.warning("fenced: another process owns these shards now", extra={"shards": self._numbers(batch)})
            except Outage as outage:
                # The commit may have happened. Never retry blindly: start again from what is stored.
                log.warning("outage: %s", outage, extra={"shards": self._numbers(batch)})
                self.outages.met(self._numbers(batch), outage)
            else:
                return True
            self._drop(list(batch.claims))
            return False

    def _hold_back(self) -> None:
        """Of whom too much waits for the broker nothing new is taken, until there is room again."""
        for number, shard in self.shards.items():
            if shard.ready and shard.held != shard.full:
                shard.held = shard.full
                log.warning("held back" if shard.held else "goes on", extra={"shard": number})
                if shard.held:
                    self.source.pause([number])
                else:
                    self.source.resume(number, {topic: cursor.offset for topic, cursor in shard.claim.cursors.items()})

    @staticmethod
    def _numbers(batch: Batch) -> list[int]:
        return sorted(shard.claim.shard for shard in batch.claims)

    async def _settle(self, batch: Batch) -> None:
        await self._load(batch)
        for work in batch.work:
            await self._handle(work, batch)
        if not batch.claims:
            return
        await self.store.commit(batch.commit())
        self._adopt(batch)
        for shard, stream_id in batch.resumed:
            if self._owned(shard):
                await self._resume(shard, stream_id, aloud=True)

    def _read(self, records: Sequence[Record], batch: Batch) -> None:
        """What is to be done: own inputs that are due, then the records in order."""
        now = self.clock()
        for shard in self.shards.values():
            if shard.ready and not shard.held:
                for due in [due for source in self.inputs for due in source.due(now, shard.claim.shard)]:
                    batch.claim(shard)
                    batch.work.append(Work(shard, due, None))
        for record in records:
            shard_or_none = self.shards.get(record.partition)
            if shard_or_none is not None and shard_or_none.ready and not shard_or_none.held:
                self._read_one(shard_or_none, record, batch)

    def _read_one(self, shard: Shard, record: Record, batch: Batch) -> None:
        claim = batch.claim(shard)
        cursor = claim.cursors.setdefault(record.topic, Cursor())
        log_read, begins = (shard, record.topic), (shard, record.topic) not in batch.begun
        batch.begun.add(log_read)
        if record.offset < cursor.offset or log_read in batch.suspended:
            return  # handled before, or to be read again
        if record.offset > cursor.offset and begins and shard.gaps.get(record.topic) != record.offset:
            # Either the log really has a gap (retention, markers) or this was fetched before a seek. Look again: what
            # comes after a seek of our own is the truth. (Within a batch nothing was sought: a gap there is real.)
            shard.gaps[record.topic] = record.offset
            batch.suspended.add(log_read)
            self.source.resume(shard.claim.shard, {topic: cursor.offset for topic, cursor in claim.cursors.items()})
            return
        if record.offset > cursor.offset:
            log.info("offsets %s to %s of %s are gone", cursor.offset, record.offset, record.topic)
        cursor.offset = record.offset + 1
        if record.timestamp < cursor.time:
            record = replace(record, timestamp=cursor.time)  # a broker's clock may step back, the time of inputs not
        cursor.time = record.timestamp
        found = self._decoded(record, from_ms(cursor.time))
        if found is None:
            return
        if isinstance(found, DeadLetter):
            batch.work.append(Work(shard, found, record))
            return
        if found.sequence is not None and found.source is not None:
            place = (record.topic, found.source)
            if found.sequence <= claim.marks.get(place, 0):
                return  # published twice, heard once
            claim.marks[place] = found.sequence
        batch.work.append(Work(shard, found.input, record))

    def _decoded(self, record: Record, time: datetime) -> Decoded | DeadLetter | None:
        """Whatever the decoder trips over is a bug of ours, but must not end one process after the other."""
        try:
            return self.decoder.decode(record, time)
        except Exception as bug:
            log.exception("the decoder raised", extra={"topic": record.topic, "offset": record.offset})
            return DeadLetter(f"unreadable: {type(bug).__name__}")

    async def _load(self, batch: Batch) -> None:
        """Folds the streams that are not in memory, all in one query."""
        if self.decider.is_stateless:
            return
        wanted = {
            (work.shard.claim.shard, work.found.stream_id): work.shard
            for work in batch.work
            if isinstance(work.found, Input) and work.found.stream_id not in work.shard.streams
        }
        if not wanted:
            return
        stored = await self.store.load(list(wanted))
        for (number, stream_id), shard in wanted.items():
            try:
                shard.streams[stream_id] = folded(self.decider, stream_id, stored.get((number, stream_id), []))
            except Exception as bug:
                batch.unreadable[shard, stream_id] = bug

    async def _handle(self, work: Work, batch: Batch) -> None:
        if isinstance(work.found, DeadLetter):
            assert work.record is not None
            batch.dead_letter(work.shard, work.record, work.found)
            return
        stream_id = work.found.stream_id
        if stream_id in batch.claim(work.shard).parked:
            if work.record is not None:
                batch.park(work.shard, stream_id, work.record)
            if may_resume(work.found.payload):
                batch.resumed.append((work.shard, stream_id))
            return
        try:
            self._decide(work.shard, work.found, batch)
        except PolicyMissing as missing:
            raise Outage(f"waiting for {missing}") from missing
        except Exception as bug:
            # A process that was frozen decides on new state with an old cursor, which looks like a bug and is none.
            await self.store.check([work.shard.claim])
            log.exception("parked: handling raised", extra={"order_id": stream_id, "input_id": work.found.id})
            work.shard.streams.pop(stream_id, None)
            batch.claim(work.shard).parked.setdefault(stream_id, [])
            if work.record is not None:  # an own input comes again from its source, with the next claim
                letter = DeadLetter(f"parked: {type(bug).__name__}: its order waits for a fix, with what follows")
                batch.raised[work.shard, stream_id] = (work.record, letter)
                batch.dead_letter(work.shard, work.record, letter)
                batch.park(work.shard, stream_id, work.record)

    def _decide(self, shard: Shard, found: Input, batch: Batch) -> None:
        if self.decider.is_stateless:
            stream: Stream[Any] = Stream(found.stream_id)
        elif (shard, found.stream_id) in batch.unreadable:
            raise batch.unreadable[shard, found.stream_id]
        else:
            stream = shard.streams[found.stream_id]
            shard.streams.move_to_end(found.stream_id)
        outgoing = handle(self.decider, stream, found, self.policies)
        batch.store(shard, found, outgoing)
        if log.isEnabledFor(logging.DEBUG):
            log.debug(
                "handled",
                extra={
                    "order_id": found.stream_id,
                    "input": found.type,
                    "said": [one.message.type for one in outgoing],
                },
            )

    async def _resume(self, shard: Shard, stream_id: str, aloud: bool) -> None:
        """Tries what waits of a parked order again, in its order: all of it is handled, or it waits on. `aloud`:
        somebody asked for it and is told if it raises again."""
        batch = Batch(self.decider.service, self.home)
        claim = batch.claim(shard)
        records = claim.parked.pop(stream_id, None)
        if records is None:
            return  # asked for twice
        batch.released.append((claim.shard, stream_id))
        for record in records:
            found = self._decoded(record, from_ms(record.timestamp))
            if isinstance(found, DeadLetter):
                batch.work.append(Work(shard, found, record))
            elif found is not None:
                batch.work.append(Work(shard, replace(found.input, waited=True), record))
        await self._load(batch)
        for work in batch.work:
            await self._handle(work, batch)
        if stream_id in claim.parked:
            shard.streams.pop(stream_id, None)
            if not aloud:
                return
            raised, batch = batch.raised[shard, stream_id], Batch(self.decider.service, self.home)
            batch.dead_letter(shard, *raised)
        else:
            log.info("resumed: handled after all", extra={"order_id": stream_id, "records": len(records)})
        await self.store.commit(batch.commit())
        self._adopt(batch)

    def _adopt(self, batch: Batch) -> None:
        """The commit happened: the shards stand as it says. What was taken from us meanwhile, its owner publishes."""
        owned = {shard.claim.shard: shard for shard in batch.claims if self._owned(shard)}
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
        for source in self.inputs:
            source.committed(ours)
        self.handled += len(batch.work)
        self.outbox.count()
