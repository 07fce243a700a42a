"""Two clocks must agree before one moves money: what by the broker's clock was appended well after our now waits until
it is then by ours, too, and so does its log. Others go on."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from schemas.instants import from_ms, to_ms
from shared.kernel.ports import DISBELIEVED, Claim, Clock, Cursor, Record, Source
from shared.runtime.batch import Shard
from shared.runtime.problems import Problems

AHEAD_MAX = timedelta(minutes=5)
NONE = timedelta(0)
LAST_MS = 253_402_300_799_000
"""The end of the calendar."""
RECIPE = "a-log-from-the-future"


class ClockCheck:
    def __init__(self, problems: Problems, clock: Clock) -> None:
        self.problems, self.clock = problems, clock
        self.skew: Callable[[], timedelta | None] = lambda: None
        """By how much the broker's clock is ahead of ours, where that was seen lately."""

    def earlier(self, now: datetime) -> datetime:
        """What time it is by both clocks: by this one alarms are rung, or the one that is ahead would ring again and
        again."""
        return now + min(self.skew() or NONE, NONE)

    @staticmethod
    def waits(record: Record, shard: Shard) -> bool:
        """Whether it lies in a log from the future."""
        return record.topic in shard.ahead and record.offset >= shard.ahead[record.topic][0]

    def time_of(self, record: Record, shard: Shard, claim: Claim) -> int | None:
        """By which time (ms) the record is handled: a broker's clock may step back, the time of inputs does not. None:
        by none yet, its log waits. An operator may have said that its append time is none, then it is now."""
        now = self.clock()
        time, now_ms = max(record.timestamp, claim.cursors[record.topic].time), to_ms(now)
        if time - now_ms <= AHEAD_MAX / timedelta(milliseconds=1):
            return time
        if record.offset < claim.marks.get((record.topic, DISBELIEVED), 0):
            return now_ms
        instant = from_ms(min(time, LAST_MS))
        shard.ahead[record.topic] = record.offset, instant - AHEAD_MAX
        place = f"{record.topic}/{claim.shard}"
        told = f"{place} says at {record.offset} that it is {instant:%Y-%m-%d %H:%M}; here it is {now:%Y-%m-%d %H:%M}."
        self.problems.begin(_place(record.topic, claim.shard), told, RECIPE)
        return None

    def come(self, shard: Shard, now: datetime) -> bool:
        """Whether our clock has come to something that waited for it."""
        come = [topic for topic, (_, until) in shard.ahead.items() if until <= now]
        for topic in come:
            del shard.ahead[topic]
            self.problems.end(_place(topic, shard.claim.shard))
        return bool(come)

    def forget(self, shard: Shard) -> None:
        """It is ours no more."""
        for topic in shard.ahead:
            self.problems.end(_place(topic, shard.claim.shard))


def next_come(shards: Iterable[Shard]) -> datetime | None:
    return min((until for shard in shards for _, until in shard.ahead.values()), default=None)


def read_on(source: Source, shard: Shard, cursors: Mapping[str, Cursor]) -> None:
    """From its cursors on, but for what waits."""
    source.resume(shard.claim.shard, {topic: cursor.offset for topic, cursor in cursors.items()})
    for topic in shard.ahead:
        source.pause([shard.claim.shard], topic)


def _place(topic: str, shard: int) -> str:
    return f"clock {topic}/{shard}"
