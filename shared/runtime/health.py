"""Whether a process gets anywhere: progress, not a ping."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from faststream.asgi import AsgiResponse, get

from schemas.instants import from_ms
from shared.kernel.ports import Clock, Cursor
from shared.runtime.membership import Membership
from shared.runtime.presence import HUNG_AFTER
from shared.runtime.shard_loop import ShardLoop

STALLED_AFTER = HUNG_AFTER
"""Without a step for so long the process is of no use; a take-over or a short outage is shorter."""

Place = tuple[str, int]
"""(topic, shard)"""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A log that has something to read."""

    first: int
    """The offset of what was to be read when this began."""
    since: datetime
    offset: int
    """How far it is fetched …"""
    end: int
    """… of so much …"""
    unmoved_since: datetime
    """… and since when no further, though we had nothing else to do."""


class Progress:
    """Which topics have records that we do not come to: a consumer may be deaf and the process look well. And how far
    behind we are where we do come to them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[Place, _Waiting] = {}

    def look(self, reach: Mapping[Place, tuple[int, int]]) -> None:
        """`reach`: how far we have fetched and where the log ends. Fetched, not handled: at the end of a log may stand
        what nobody is ever handed, such as the mark of a transaction; and who does not handle what is fetched does not
        step.

        Logs have their turns, by a buffer of each; when more comes than we can do a turn takes long, and who waits for
        his is not stalled. So the time counts only while no log is read that had more than was read since."""
        before, now = self._waiting, self._clock()
        overloaded = any(
            place in before and before[place].offset < offset < before[place].end
            for place, (offset, _) in reach.items()
        )
        self._waiting = {}
        for place, (offset, end) in reach.items():
            if end > offset:
                known = before.get(place, _Waiting(offset, now, offset, end, now))
                unmoved = known.offset == offset and not overloaded
                self._waiting[place] = replace(
                    known, offset=offset, end=end, unmoved_since=known.unmoved_since if unmoved else now
                )

    def stalled(self) -> list[str]:
        now = self._clock()
        return sorted(
            f"{topic}/{shard}"
            for (topic, shard), waiting in self._waiting.items()
            if now - waiting.unmoved_since > STALLED_AFTER
        )

    def seconds_behind(self, handled: Mapping[int, Mapping[str, Cursor]]) -> float:
        """How long the next record has been lying there, of the log where it is longest; 0 where nothing is left to
        fetch. `handled`: of each shard we own, how far in which topic.

        What is next was appended after the last one we handled, by the broker's clock; so while we get anywhere this is
        the age of that one. Until something is handled of what waits, it is the time since we saw it wait: after an
        idle hour the first record is not an hour late. What is fetched and not handled does not count: it is a few
        batches at most, and who is stuck with them does not step.
        """
        now = self._clock()
        since = [
            self._waits_since(waiting, handled[shard].get(topic, Cursor()))
            for (topic, shard), waiting in self._waiting.items()
            if shard in handled
        ]
        return max((now - min(since, default=now)).total_seconds(), 0.0)

    @staticmethod
    def _waits_since(waiting: _Waiting, cursor: Cursor) -> datetime:
        return from_ms(cursor.time) if cursor.offset > waiting.first else waiting.since


def health(loop: ShardLoop, membership: Membership, progress: Progress) -> Any:
    """Progress, not a ping: 200 while the loop steps, the broker answers it, and it moves wherever there is something
    to read."""

    @get
    async def answer(request: Any) -> AsgiResponse:
        waiting = sum(len(shard.pending) for shard in loop.shards.values())
        idle = loop.clock() - loop.stepped_at
        stalled = progress.stalled()
        reached = membership.reached.is_set()
        behind = progress.seconds_behind({number: shard.claim.cursors for number, shard in loop.shards.items()})
        problems = loop.problems.told()
        healthy = idle < STALLED_AFTER and membership.complete.is_set() and reached and not stalled and not problems
        body = {
            "healthy": healthy,
            "shards": sorted(loop.shards),
            "handled": loop.handled,
            "unpublished": waiting,
            "seconds_behind": round(behind, 3),
            "broker_answers": reached,
            "stalled": stalled,
            "problems": problems,
            "seconds_since_step": round(idle.total_seconds(), 3),
        }
        return AsgiResponse(json.dumps(body).encode(), 200 if healthy else 503, {"content-type": "application/json"})

    return answer
