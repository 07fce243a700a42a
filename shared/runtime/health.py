"""What is true of a process and its work: `/alive` that it runs, `/health` that all gets on, else in sentences why not.

Each second the world is asked and judged (`Health.keep_looking`); what is wrong is one of the loop's `problems`, so it
is in the log, too, and there is no unhealthy answer without a sentence.
"""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from faststream.asgi import AsgiResponse, get

from shared.runtime.membership import Membership
from shared.runtime.problems import Problem
from shared.runtime.progress import STALLED_AFTER, Progress
from shared.runtime.shard_loop import ShardLoop

LOOK_SECONDS = 1.0
KIND = "work "
"""So the places begin that are judged here: others look after theirs."""


class Health:
    def __init__(self, loop: ShardLoop, membership: Membership, progress: Progress) -> None:
        self.loop, self.membership, self.progress = loop, membership, progress
        self._starting = True
        """Until we hold our fair share for the first time."""
        self._complete_at = loop.clock()
        """When we last held it, or began."""

    async def keep_looking(self) -> None:
        """Again and again until cancelled."""
        while True:
            self.judge()
            await asyncio.sleep(LOOK_SECONDS)

    def judge(self) -> None:
        """Begins and ends what is a problem of the work."""
        if self.membership.complete.is_set():
            self._starting, self._complete_at = False, self.loop.clock()
        found = dict(self._wrong())
        for place, problem in found.items():
            self.loop.problems.begin(place, problem.sentence, problem.recipe)
        self.loop.problems.keep(KIND, found.keys())

    def _wrong(self) -> Iterator[tuple[str, Problem]]:
        """Place, and what is wrong there."""
        now = self.loop.clock()
        if (idle := now - self.loop.stepped_at) > STALLED_AFTER:
            sentence = (
                f"The shard loop has not taken a step for {_seconds(idle)}: it hangs, or the broker takes nothing."
            )
            yield f"{KIND}loop", Problem(sentence, "nothing-is-handled")
        if not self.membership.reached.is_set():
            yield f"{KIND}kafka", Problem("Kafka does not answer this process.", "a-server-does-not-answer")
        if (short := now - self._complete_at) > STALLED_AFTER:
            owned = [number for number, shard in sorted(self.loop.shards.items()) if shard.ready]
            sentence = f"For {_seconds(short)} shards of this process's share are not served by it; it has {owned}."
            yield f"{KIND}shards", Problem(sentence, "shards-that-nobody-serves")
        for (topic, shard), left in self.progress.stalled().items():
            sentence = f"Nothing is handled of {topic}/{shard}, where {left} offsets wait."
            yield f"{KIND}{topic}/{shard}", Problem(sentence, "nothing-is-handled")
        for (topic, shard), offset in self.progress.held_up().items():
            sentence = f"A producer began a transaction in {topic}/{shard} at offset {offset} and does not end it."
            yield f"{KIND}{topic}/{shard} transaction", Problem(sentence, "an-open-transaction")

    def told(self) -> dict[str, Any]:
        """What /health says."""
        self.judge()
        loop, problems = self.loop, self.loop.problems.told()
        if self._starting and not problems:
            problems = [_STARTING]
        return {
            "healthy": not problems,
            "problems": problems,
            "shards": sorted(loop.shards),
            "handled": loop.handled,
            "unpublished": sum(len(shard.pending) for shard in loop.shards.values()),
            "seconds_behind": round(self.progress.seconds_behind(loop.cursors()), 3),
            "seconds_since_step": round((loop.clock() - loop.stepped_at).total_seconds(), 3),
        }


_STARTING = {
    "place": f"{KIND}shards",
    "problem": "It starts: its share of the shards is not its yet.",
    "recipe": "docs/OPERATIONS.md#shards-that-nobody-serves",
}


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"


def routes(health: Health) -> list[tuple[str, Any]]:
    """`/alive` is for whoever ends what hangs and starts it anew, `/health` for whoever must know if all is well."""

    @get
    async def alive(request: Any) -> AsgiResponse:
        return AsgiResponse(b'{"alive": true}', 200, {"content-type": "application/json"})

    @get
    async def told(request: Any) -> AsgiResponse:
        body = health.told()
        status = 200 if body["healthy"] else 503
        return AsgiResponse(json.dumps(body).encode(), status, {"content-type": "application/json"})

    return [("/alive", alive), ("/health", told)]
