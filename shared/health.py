"""Whether a process gets anywhere: progress, not a ping."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from faststream.asgi import AsgiResponse, get

from shared.lease import Lease
from shared.ports import Clock
from shared.shard_loop import ShardLoop

STALLED_AFTER = timedelta(seconds=15)
"""Without a step for so long the process is of no use; a take-over or a short outage is shorter."""

Place = tuple[str, int]
"""(topic, shard)"""


class Progress:
    """Which topics have records that we do not come to: a consumer may be deaf and the process look well."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[Place, tuple[int, datetime]] = {}
        """Where there is something to read: our offset there, and since when it has not moved."""

    def look(self, reach: Mapping[Place, tuple[int, int]]) -> None:
        """`reach`: how far we have fetched and where the log ends. Fetched, not handled: at the end of a log may stand
        what nobody is ever handed, such as the mark of a transaction; and who does not handle what is fetched does not
        step."""
        before, now = self._waiting, self._clock()
        waiting = {place: (offset, now) for place, (offset, end) in reach.items() if end > offset}
        self._waiting = {
            place: before[place] if place in before and before[place][0] == offset else (offset, since)
            for place, (offset, since) in waiting.items()
        }

    def stalled(self) -> list[str]:
        now = self._clock()
        return sorted(
            f"{topic}/{shard}" for (topic, shard), (_, since) in self._waiting.items() if now - since > STALLED_AFTER
        )


def health(loop: ShardLoop, lease: Lease, progress: Progress) -> Any:
    """Progress, not a ping: 200 while the loop steps, the broker answers it, and it moves wherever there is something
    to read."""

    @get
    async def answer(request: Any) -> AsgiResponse:
        waiting = sum(len(shard.pending) for shard in loop.shards.values())
        idle = loop.clock() - loop.stepped_at
        stalled = progress.stalled()
        reached = lease.reached.is_set()
        healthy = idle < STALLED_AFTER and lease.complete.is_set() and reached and not stalled
        body = {
            "healthy": healthy,
            "shards": sorted(loop.shards),
            "handled": loop.handled,
            "unpublished": waiting,
            "broker_answers": reached,
            "stalled": stalled,
            "seconds_since_step": round(idle.total_seconds(), 3),
        }
        return AsgiResponse(json.dumps(body).encode(), 200 if healthy else 503, {"content-type": "application/json"})

    return answer
