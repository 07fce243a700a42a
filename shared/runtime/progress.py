"""Whether the logs we read are read: what is committed of each against where it ends."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from schemas.instants import from_ms
from shared.kernel.ports import Clock, Cursor, Place

STALLED_AFTER = timedelta(seconds=15)
"""Whatever does not get on for so long is of no use; a take-over or a short outage is shorter."""
STARVED_AFTER = timedelta(minutes=5)
"""So long a log may wait for its turn while there is more to read than we can read: a turn is a buffer of each."""

Handled = Mapping[int, Mapping[str, Cursor]]
"""Of each shard we own, what is committed: how far in which topic."""


class Reach(NamedTuple):
    """How far there is to read in one log. Offsets, each of what comes next."""

    fetched: int
    """At the end of a log may lie what nobody is ever handed, such as the mark of a transaction: it is fetched."""
    received: int
    """After the last record that the loop was handed."""
    stable: int
    """Where the first transaction begins that is still open: nothing behind it is read; else the end."""
    end: int
    """The high watermark, whoever may read so far."""

    @property
    def readable(self) -> int:
        """So far the loop can come. Where all is fetched, what it was handed is all there is."""
        return self.received if self.fetched >= self.stable else self.stable


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A log that has something to handle."""

    first: int
    """The offset of what was to be handled when this began."""
    since: datetime
    offset: int
    """How far it is handled …"""
    readable: int
    """… of so much …"""
    unmoved_since: datetime
    """… and since when no further, though we had nothing else to do."""
    starving_since: datetime
    """Since when no further, whatever else was done."""


class Progress:
    """Which logs have records that we do not come to, or not to the end of: a consumer may be deaf, a commit fail again
    and again, and the process look well. Which are held up by others. And how far behind we are."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[Place, _Waiting] = {}
        self._open: dict[Place, tuple[int, datetime]] = {}
        """Logs that end in a transaction that is open: where it begins, and since when that is so."""

    def look(self, reach: Mapping[Place, Reach], handled: Handled) -> None:
        """Logs have their turns, by a buffer of each; when more comes than we can do a turn takes long, and who waits
        for his is not stalled. So the time counts only while no log is read that had more than was read since."""
        before, now = self._waiting, self._clock()
        reach = {place: log for place, log in reach.items() if place[1] in handled}
        offsets = {(topic, shard): handled[shard].get(topic, Cursor()).offset for topic, shard in reach}
        overloaded = any(
            place in before and before[place].offset < offset < before[place].readable
            for place, offset in offsets.items()
        )
        self._waiting = {}
        for place, log in reach.items():
            offset, readable = offsets[place], log.readable
            if readable > offset:
                known = before.get(place, _Waiting(offset, now, offset, readable, now, now))
                moved = known.offset != offset
                self._waiting[place] = replace(
                    known,
                    offset=offset,
                    readable=readable,
                    unmoved_since=now if moved or overloaded else known.unmoved_since,
                    starving_since=now if moved else known.starving_since,
                )
        self._open = {
            place: self._open[place] if self._open.get(place, (-1,))[0] == log.stable else (log.stable, now)
            for place, log in reach.items()
            if log.stable < log.end
        }

    def stalled(self) -> dict[Place, int]:
        """Logs that we do not get on in: how many offsets lie there."""
        now = self._clock()
        return {
            place: waiting.readable - waiting.offset
            for place, waiting in sorted(self._waiting.items())
            if now - waiting.unmoved_since > STALLED_AFTER or now - waiting.starving_since > STARVED_AFTER
        }

    def held_up(self) -> dict[Place, int]:
        """Logs of which nobody can read on, for a transaction was begun there and never ended: where that was."""
        now = self._clock()
        return {place: offset for place, (offset, since) in sorted(self._open.items()) if now - since > STALLED_AFTER}

    def seconds_behind(self, handled: Handled) -> float:
        """How long the next record has been lying there, of the log where it is longest; 0 where nothing is left to do.

        What is next was appended after the last one we handled, by the broker's clock; so while we get anywhere this is
        the age of that one. Until something is handled of what waits, it is the time since we saw it wait: after an
        idle hour the first record is not an hour late.
        """
        now = self._clock()
        since = [
            self._waits_since(waiting, handled[shard].get(topic, Cursor()))
            for (topic, shard), waiting in self._waiting.items()
            if shard in handled
        ]
        since += [opened_at for (_, shard), (_, opened_at) in self._open.items() if shard in handled]
        return max((now - min(since, default=now)).total_seconds(), 0.0)

    @staticmethod
    def _waits_since(waiting: _Waiting, cursor: Cursor) -> datetime:
        return from_ms(cursor.time) if cursor.offset > waiting.first else waiting.since


def fresh(reach: Mapping[Place, Reach], handled: Handled, asked_at: datetime) -> dict[int, datetime]:
    """Up to when all is handled that was said, by shard: where nothing is left, until it was asked how far there is to
    read; else until what was handled last."""
    found = dict.fromkeys({shard for _, shard in reach if shard in handled}, asked_at)
    for (topic, shard), log in reach.items():
        if shard in found and (cursor := handled[shard].get(topic, Cursor())).offset < log.readable:
            found[shard] = min(found[shard], from_ms(cursor.time))
    return found
