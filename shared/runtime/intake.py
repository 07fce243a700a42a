"""What of a shard's records, own inputs and what has waited is to be handled: decoded, in order, each once."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from schemas.instants import from_ms
from shared.kernel.codec import Decoded, Decoder
from shared.kernel.envelope import DeadLetter
from shared.kernel.ports import Cursor, Record, Source
from shared.runtime.batch import Arrival, Batch, Shard, WaitingRecord, Work
from shared.runtime.clocks import ClockCheck, read_on

log = logging.getLogger(__name__)


class Intake:
    """Of the shards that a loop owns."""

    def __init__(self, decoder: Decoder, source: Source, shards: Mapping[int, Shard], clocks: ClockCheck) -> None:
        self.decoder, self.source, self.shards, self.clocks = decoder, source, shards, clocks

    def read(self, arrivals: Sequence[Arrival], batch: Batch) -> None:
        """What is to be done. Of a shard that was lost since they came, or is not served any more, nothing."""
        for shard, arrived in arrivals:
            if not (shard.ready and self.shards.get(shard.claim.shard) is shard):
                continue
            match arrived:
                case Record():
                    self._read_one(shard, arrived, batch)
                case WaitingRecord(parked=parked):
                    found = self._decoded(parked.record, from_ms(parked.record.timestamp))
                    again = replace(found.input, waited=True) if isinstance(found, Decoded) else found
                    batch.claim(shard)
                    batch.work.append(Work(shard, again, parked.record, arrived))
                case _:
                    batch.claim(shard)
                    batch.work.append(Work(shard, arrived, None))

    def _read_one(self, shard: Shard, record: Record, batch: Batch) -> None:
        claim = batch.claim(shard)
        cursor = claim.cursors.setdefault(record.topic, Cursor())
        log_read, begins = (shard, record.topic), (shard, record.topic) not in batch.begun
        batch.begun.add(log_read)
        if record.offset < cursor.offset or log_read in batch.suspended or self.clocks.waits(record, shard):
            return  # handled before, or to be read again
        if record.offset > cursor.offset and begins and shard.gaps.get(record.topic) != record.offset:
            # Either the log really has a gap (retention, markers) or this was fetched before a seek. Look again: what
            # comes after a seek of our own is the truth. (Within a batch nothing was sought: a gap there is real.)
            shard.gaps[record.topic] = record.offset
            batch.suspended.add(log_read)
            read_on(self.source, shard, claim.cursors)
            return
        if (time := self.clocks.time_of(record, shard, claim)) is None:
            self.source.pause([shard.claim.shard], record.topic)
            return
        if record.offset > cursor.offset:
            log.info("offsets %s to %s of %s are gone", cursor.offset, record.offset, record.topic)
        cursor.offset = record.offset + 1
        if record.timestamp != time:
            record = replace(record, timestamp=time)
        cursor.time = time
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
            return self.decoder.kept(record, DeadLetter(f"unreadable: {type(bug).__name__}"), time)
