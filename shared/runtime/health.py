"""What is true of a process and its work: `/alive` that it runs, `/health` that all gets on, else in sentences why not,
`/metrics` the figures of it.

Each second the world is asked and judged (`Health.keep_looking`); what is wrong is one of the loop's `problems`, so it
is in the log, too, and there is no unhealthy answer without a sentence.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from faststream.asgi import AsgiResponse, get

from shared.runtime import metrics
from shared.runtime.membership import Membership
from shared.runtime.postgres import database
from shared.runtime.problems import Problem
from shared.runtime.progress import STALLED_AFTER, Progress
from shared.runtime.shard_loop import ShardLoop

LOOK_SECONDS = 1.0
CLOCKS_APART_MAX = timedelta(minutes=1)
"""Instants of mails and of alarms are ours, of decisions the broker's: further apart, they are told to nobody's use."""
KIND = "work "
"""So the places begin that are judged here: others look after theirs."""


class Health:
    def __init__(
        self,
        loop: ShardLoop,
        membership: Membership,
        progress: Progress,
        ask_database: Callable[[], Awaitable[database.DatabaseAnswer]],
        overdue: Callable[[datetime], int],
    ) -> None:
        self.loop, self.membership, self.progress = loop, membership, progress
        self._ask_database, self._overdue = ask_database, overdue
        self.clock_skew: dict[str, timedelta] = {}
        """How far each other clock is ahead of ours."""
        self._database_says = ""
        self._writable_at = loop.clock()
        self._late, self._fewer_late_at = 0, loop.clock()
        """Overdue alarms, and when there were fewer than at the look before."""
        self._starting = True
        """Until we hold our fair share for the first time."""
        self._complete_at = loop.clock()
        """When we last held it, or began."""

    async def keep_looking(self) -> None:
        """Again and again until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Asks the database, and judges."""
        asked_at = self.loop.clock()
        try:
            answer = await self._ask_database()
        except database.ERRORS as error:
            self._database_says = f"does not answer: {type(error).__name__}"
        else:
            now = self.loop.clock()
            self.clock_skew["database"] = answer.time - (asked_at + (now - asked_at) / 2)
            if answer.read_only:
                self._database_says = "takes no writes: it is read-only"
            else:
                self._writable_at = now
        self.judge()

    def judge(self) -> None:
        """Begins and ends what is a problem of the work."""
        now = self.loop.clock()
        before, self._late = self._late, self._overdue(self.loop.clocks.earlier(now) - STALLED_AFTER)
        if not before or self._late < before:
            self._fewer_late_at = now
        if (skew := self.loop.clocks.skew()) is not None:
            self.clock_skew["broker"] = skew
        if self.membership.complete.is_set():
            self._starting, self._complete_at = False, now
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
        if (waits := self._unpublished_for()) > STALLED_AFTER and not self.loop.outbox.refusing:
            sentence = f"What was decided {_seconds(waits)} ago is not on the bus yet."
            yield f"{KIND}outbox", Problem(sentence, "a-topic-takes-no-records")
        if not self.membership.reached.is_set():
            yield f"{KIND}kafka", Problem("Kafka does not answer this process.", "a-server-does-not-answer")
        if (away := now - self._writable_at) > STALLED_AFTER:
            sentence = f"For {_seconds(away)} PostgreSQL {self._database_says}."
            yield f"{KIND}postgresql", Problem(sentence, "a-server-does-not-answer")
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
        for number, (times, kind) in self.loop.outages.lasting().items():
            sentence = f"Shard {number} met {times} outages and committed nothing in between; the last was {kind}."
            yield f"{KIND}shard {number}", Problem(sentence, "nothing-is-handled")
        if self._late and now - self._fewer_late_at > STALLED_AFTER:
            sentence = f"{self._late} alarms should have rung, and they do not get fewer."
            yield f"{KIND}alarms", Problem(sentence, "alarms-that-are-overdue")
        for clock, skew in self.clock_skew.items():
            if abs(skew) > CLOCKS_APART_MAX:
                sentence = f"The clock of the {clock} is {skew.total_seconds():+.0f} s apart from this machine's."
                yield f"{KIND}clock {clock}", Problem(sentence, "clocks-that-disagree")

    def _unpublished_for(self) -> timedelta:
        since = self.loop.outbox.oldest_unpublished_at()
        return self.loop.clock() - since if since is not None else timedelta(0)

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
            "seconds_unpublished": round(self._unpublished_for().total_seconds(), 3),
            "seconds_behind": round(self.progress.seconds_behind(loop.cursors()), 3),
            "seconds_since_step": round((loop.clock() - loop.stepped_at).total_seconds(), 3),
            "overdue": self._late,
            "clock_skew_seconds": {of: round(skew.total_seconds(), 3) for of, skew in self.clock_skew.items()},
        }


_STARTING = Problem("It starts: its share of the shards is not its yet.", "shards-that-nobody-serves").told(
    f"{KIND}shards"
)


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

    @get
    async def figures(request: Any) -> AsgiResponse:
        text = metrics.text(health.loop.decider.service, health.told())
        return AsgiResponse(text.encode(), 200, {"content-type": metrics.CONTENT_TYPE})

    return [("/alive", alive), ("/health", told), ("/metrics", figures)]
