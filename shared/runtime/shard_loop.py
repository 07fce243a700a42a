"""The shard loop: records in, one commit, events out, in order. The heart of every service.

A shard is one partition number of one service: its input topics at that number, its rows, its outgoing events.

1. Claim: take the shard by epoch + 1, publish what is committed but not yet published, read from the stored offsets.
2. Batch: skip what was handled before, put the unreadable aside, decide the rest in memory, in order.
3. Commit offsets, marks and events in one statement under the epoch: a process that lost its shard keeps nothing.
4. Publish after the commit, in order; a crash in between is repaired by the next claim.

What may not go wrong: an input has its effect exactly once; sequences are gapless; a shard's events reach each
partition in sequence order, repeats apart; a bug in one order stops that order alone; an outage loses nothing.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.kernel.agenda import Agenda
from shared.kernel.codec import DeadLetter, Decoded, Decoder
from shared.kernel.decider import Decider, Input, Stream, handle, may_resume
from shared.kernel.ports import EPOCH, Clock, Cursor, Fenced, Outage, Publisher, Record, Row, Source, Store
from shared.rules.policies import Policies, PolicyMissing
from shared.runtime.batch import Batch, Shard, Work, folded

log = logging.getLogger(__name__)

STREAMS_CACHED_MAX = 20_000
"""Orders that a process keeps in memory, 3 to 6 KB each; every shard an equal share."""
UNPUBLISHED_MAX = 20_000
"""Back-pressure: with more committed rows waiting for the broker than this, no new records are taken."""
WAVE_ROWS_MAX = 2_000
TAKE_WAIT = timedelta(seconds=0.25)


class ShardLoop:
    """Runs one service's decider over the shards it is told to own."""

    def __init__(
        self,
        decider: Decider[Any],
        policies: Policies,
        agenda: Agenda,
        store: Store,
        source: Source,
        publisher: Publisher,
        clock: Clock,
        partitions: int,
        owner: str,
    ) -> None:
        self.decider, self.policies, self.agenda = decider, policies, agenda
        self.store, self.source, self.publisher = store, source, publisher
        self.clock, self.partitions, self.owner = clock, partitions, owner
        self.decoder = Decoder(decider.service, decider.hears, partitions)
        self.shards: dict[int, Shard] = {}
        self.handled = 0
        self.stepped_at = clock()
        self.lost = asyncio.Event()
        """Set when shards were dropped: whoever grants ownership should look again."""
        self._turn = asyncio.Lock()
        self._unpublished = asyncio.Event()
        self._acknowledged = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    # -- ownership -----------------------------------------------------------------------------------------------------

    async def claim(self, numbers: Sequence[int]) -> None:
        """Takes shards over: fence, drain the unpublished tail, look at parked orders again, read on."""
        async with self._turn:
            claims = await self.store.claim(numbers, self.owner)
            taken = [Shard(claim, published_noted=claim.published) for claim in claims]
            self.shards |= {shard.claim.shard: shard for shard in taken}
        try:
            for shard in taken:
                await self._drain(shard)
                await self.agenda.opened(shard.claim.shard)
                async with self._turn:
                    for order_id in list(shard.claim.parked):  # this claim may be the first after a fix
                        await self._resume(shard, order_id, aloud=False)
                    if self._owned(shard):
                        offsets = {
                            topic: shard.claim.cursors.get(topic, Cursor()).offset for topic in self.decoder.topics
                        }
                        self.source.resume(shard.claim.shard, offsets)
                        shard.ready = True
        except BaseException:
            self._drop(taken)  # else they would be ours and never read
            raise

    async def release(self, numbers: Sequence[int], patience: float = 3.0) -> None:
        """Gives shards back: the batch in flight ends, what is committed is published if the broker lets us."""
        shards = [self.shards[number] for number in numbers if number in self.shards]
        self.source.pause([shard.claim.shard for shard in shards])
        async with self._turn:
            for shard in shards:
                shard.ready = False
        try:
            async with asyncio.timeout(patience):
                while any(shard.pending for shard in shards if self._owned(shard)):
                    self._acknowledged.clear()
                    await self._acknowledged.wait()
        except TimeoutError:
            log.warning("released with unpublished events; the next owner publishes them", extra={"shards": numbers})
        shards = [shard for shard in shards if self._owned(shard)]
        self._drop(shards)
        await self.store.release([shard.claim for shard in shards])

    def _owned(self, shard: Shard) -> bool:
        return self.shards.get(shard.claim.shard) is shard

    def _drop(self, shards: Iterable[Shard]) -> None:
        for shard in shards:
            if self._owned(shard):
                del self.shards[shard.claim.shard]
                self.source.pause([shard.claim.shard])
                self.agenda.closed(shard.claim.shard)
            shard.ready = False
        self._count_unpublished()
        self._acknowledged.set()  # whoever waits for what is dropped waits for nothing
        self.lost.set()

    def drop(self, numbers: Sequence[int]) -> None:
        """Forgets shards that somebody else has taken."""
        self._drop([self.shards[number] for number in numbers if number in self.shards])

    async def _drain(self, shard: Shard) -> None:
        """What the last owner committed and perhaps did not publish goes out before anything new."""
        while rows := await self.store.unpublished(shard.claim, WAVE_ROWS_MAX):
            await self.publisher.send(rows)
            shard.claim.published = rows[-1].position

    # -- one batch -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Takes and handles batches until cancelled. Raises for what it cannot explain: then the process must end, for
        nobody knows what is true any more, and the next owner starts from what is stored."""
        while True:
            await self._room.wait()
            due, wait = self.agenda.next_due(), TAKE_WAIT
            if due is not None:
                wait = max(min(wait, due - self.clock()), timedelta(0))
            records = await self.source.take(wait.total_seconds())
            if not await self.step(records):
                await asyncio.sleep(0.1)

    async def step(self, records: Sequence[Record]) -> bool:
        """Handles one batch, and whatever the agenda has due. False if its shards had to be dropped."""
        async with self._turn:
            batch = Batch(self.decider.service, self.partitions)
            self.stepped_at = self.clock()
            try:
                self._read(records, batch)
                await self._settle(batch)
            except Fenced:
                log.warning("fenced: another process owns these shards now", extra={"shards": self._numbers(batch)})
            except Outage as outage:
                # The commit may have happened. Never retry blindly: start again from what is stored.
                log.warning("outage: %s", outage, extra={"shards": self._numbers(batch)})
            else:
                return True
            self._drop(list(batch.claims))
            return False

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
        for shard, order_id in batch.resumed:
            if self._owned(shard):
                await self._resume(shard, order_id, aloud=True)

    def _read(self, records: Sequence[Record], batch: Batch) -> None:
        """What is to be done: own inputs that are due, then the records in order."""
        now = self.clock()
        for shard in self.shards.values():
            if shard.ready:
                for due in self.agenda.due(now, shard.claim.shard):
                    batch.claim(shard)
                    batch.work.append(Work(shard, due, None))
        for record in records:
            shard_or_none = self.shards.get(record.partition)
            if shard_or_none is not None and shard_or_none.ready:
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
        found = self._decoded(record, EPOCH + timedelta(milliseconds=cursor.time))
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
        if self.decider.stateless:
            return
        wanted = {
            (work.shard.claim.shard, work.found.order_id): work.shard
            for work in batch.work
            if isinstance(work.found, Input) and work.found.order_id not in work.shard.streams
        }
        if not wanted:
            return
        stored = await self.store.load(list(wanted))
        for (number, order_id), shard in wanted.items():
            try:
                shard.streams[order_id] = folded(self.decider, order_id, stored.get((number, order_id), []))
            except Exception as bug:
                batch.unreadable[shard, order_id] = bug

    async def _handle(self, work: Work, batch: Batch) -> None:
        if isinstance(work.found, DeadLetter):
            assert work.record is not None
            batch.put_aside(work.shard, work.record, work.found)
            return
        order_id = work.found.order_id
        if order_id in batch.claim(work.shard).parked:
            if work.record is not None:
                batch.park(work.shard, order_id, work.record)
            if may_resume(work.found.heard):
                batch.resumed.append((work.shard, order_id))
            return
        try:
            self._decide(work.shard, work.found, batch)
        except PolicyMissing as missing:
            raise Outage(f"waiting for {missing}") from missing
        except Exception as bug:
            # A process that was frozen decides on new state with an old cursor, which looks like a bug and is none.
            await self.store.check([work.shard.claim])
            log.exception("parked: handling raised", extra={"order_id": order_id, "input_id": work.found.id})
            work.shard.streams.pop(order_id, None)
            batch.claim(work.shard).parked.setdefault(order_id, [])
            if work.record is not None:  # an own input comes again from the agenda, with the next claim
                letter = DeadLetter(f"parked: {type(bug).__name__}: its order waits for a fix, with what follows")
                batch.raised[work.shard, order_id] = (work.record, letter)
                batch.put_aside(work.shard, work.record, letter)
                batch.park(work.shard, order_id, work.record)

    def _decide(self, shard: Shard, found: Input, batch: Batch) -> None:
        if self.decider.stateless:
            stream: Stream[Any] = Stream(found.order_id)
        elif (shard, found.order_id) in batch.unreadable:
            raise batch.unreadable[shard, found.order_id]
        else:
            stream = shard.streams[found.order_id]
            shard.streams.move_to_end(found.order_id)
        said = handle(self.decider, stream, found, self.policies)
        batch.store(shard, found, said)
        if log.isEnabledFor(logging.DEBUG):
            log.debug(
                "handled",
                extra={"order_id": found.order_id, "input": found.type, "said": [one.message.type for one in said]},
            )

    async def _resume(self, shard: Shard, order_id: str, aloud: bool) -> None:
        """Tries what waits of a parked order again, in its order: all of it is handled, or it waits on. `aloud`:
        somebody asked for it and is told if it raises again."""
        batch = Batch(self.decider.service, self.partitions)
        claim = batch.claim(shard)
        records = claim.parked.pop(order_id, None)
        if records is None:
            return  # asked for twice
        batch.released.append((claim.shard, order_id))
        for record in records:
            found = self._decoded(record, EPOCH + timedelta(milliseconds=record.timestamp))
            if isinstance(found, DeadLetter):
                batch.work.append(Work(shard, found, record))
            elif found is not None:
                batch.work.append(Work(shard, replace(found.input, waited=True), record))
        await self._load(batch)
        for work in batch.work:
            await self._handle(work, batch)
        if order_id in claim.parked:
            shard.streams.pop(order_id, None)
            if not aloud:
                return
            raised, batch = batch.raised[shard, order_id], Batch(self.decider.service, self.partitions)
            batch.put_aside(shard, *raised)
        else:
            log.info("resumed: handled after all", extra={"order_id": order_id, "records": len(records)})
        await self.store.commit(batch.commit())
        self._adopt(batch)

    def _adopt(self, batch: Batch) -> None:
        """The commit happened: the shards stand as it says. What was taken from us meanwhile, its owner publishes."""
        owned = {shard.claim.shard: shard for shard in batch.claims if self._owned(shard)}
        for shard in owned.values():
            claim = batch.claims[shard]
            shard.published_noted = max(shard.published_noted, claim.published)
            claim.published = max(claim.published, shard.claim.published)
            shard.claim = claim
            while len(shard.streams) > STREAMS_CACHED_MAX // len(self.shards):
                shard.streams.popitem(last=False)
        for row in batch.rows:
            if row.topic is not None and row.shard in owned:
                owned[row.shard].pending.append(row)
        self.agenda.committed([written for written in batch.written if written.shard in owned])
        self.handled += len(batch.work)
        self._count_unpublished()

    # -- publication ---------------------------------------------------------------------------------------------------

    def _count_unpublished(self) -> None:
        waiting = sum(len(shard.pending) for shard in self.shards.values())
        (self._unpublished.set if waiting else self._unpublished.clear)()
        (self._room.clear if waiting > UNPUBLISHED_MAX else self._room.set)()

    async def publish(self) -> bool:
        """Sends one wave: the oldest rows of every shard. Raises Outage when unsure; then send again."""
        wave: list[Row] = []
        shares: list[tuple[Shard, int]] = []
        for shard in self.shards.values():
            if shard.pending:
                rows = [row for row, _ in zip(shard.pending, range(WAVE_ROWS_MAX), strict=False)]
                wave += rows
                shares.append((shard, len(rows)))
        if not wave:
            return False
        await self.publisher.send(wave)
        for shard, count in shares:
            for _ in range(count):
                shard.claim.published = shard.pending.popleft().position
        self._acknowledged.set()
        self._count_unpublished()
        return True

    async def keep_publishing(self) -> None:
        """Publishes whatever is committed until cancelled; an outage of the broker is waited out, loudly."""
        while True:
            await self._unpublished.wait()
            try:
                await self.publish()
            except Outage as outage:
                log.warning("publishing waits for the broker: %s", outage)
                await asyncio.sleep(0.2)

    async def note_published(self) -> None:
        """For shards without traffic: what is published is remembered without waiting for the next batch."""
        behind = [shard for shard in self.shards.values() if shard.claim.published > shard.published_noted]
        if behind:
            claims = [replace(shard.claim) for shard in behind]
            await self.store.note_published(claims)
            for shard, claim in zip(behind, claims, strict=True):
                shard.published_noted = claim.published
