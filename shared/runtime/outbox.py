"""What is committed and not yet on the bus: published in order, remembered when it is there.

Every place, a partition of a topic, acknowledges for itself: what it has acknowledged is not sent again. One that
refuses is tried alone, more and more seldom, and the others go on without it.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from schemas.instants import from_ms
from shared.kernel.ports import Clock, Outage, Place, PlaceRefusal, Publisher, Store
from shared.runtime.batch import Shard
from shared.runtime.problems import Problems

log = logging.getLogger(__name__)

UNPUBLISHED_MAX = 4_000
"""Back-pressure: no new records of a shard are taken while from its first event that is not on the bus to its last it
is more than this. So much is in memory at most, and so much the next owner repeats."""
WAVE_EVENTS_MAX = 1_000
"""Of one shard, for one place."""
RETRY_SECONDS, RETRY_SECONDS_MAX = 0.2, 30.0
PROBLEM_AFTER_SECONDS = 5.0
RECIPE = "a-topic-takes-no-records"


class Outbox:
    """Of the shards that a loop owns, as long as it does."""

    def __init__(
        self, publisher: Publisher, store: Store, shards: dict[int, Shard], clock: Clock, problems: Problems
    ) -> None:
        self.publisher, self.store, self.shards = publisher, store, shards
        self.clock, self.problems = clock, problems
        self.refusing: set[Place] = set()
        """They are tried alone."""
        self._unpublished = asyncio.Event()
        self._acknowledged = asyncio.Event()

    def count(self) -> None:
        """After shards or what waits of them have changed."""
        waiting = any(not self.refusing.issuperset(shard.pending.open) for shard in self.shards.values())
        (self._unpublished.set if waiting else self._unpublished.clear)()
        for shard in self.shards.values():
            waits = shard.claim.position + 1 - shard.pending.begins if shard.pending.places else 0
            shard.full = waits > (UNPUBLISHED_MAX // 2 if shard.full else UNPUBLISHED_MAX)

    def dropped(self) -> None:
        """Shards are ours no more: whoever waits for theirs waits for nothing."""
        self.count()
        self._acknowledged.set()

    def oldest_unpublished_at(self) -> datetime | None:
        """Since when the event that has waited for longest is committed and not on the bus."""
        return min(filter(None, (shard.pending.since for shard in self.shards.values())), default=None)

    async def inherit(self, shard: Shard) -> None:
        """What the last owner committed and perhaps did not publish goes out before anything new."""
        read = replace(shard.claim)
        while events := await self.store.unpublished(read, WAVE_EVENTS_MAX):
            for event in events:
                shard.pending.add(event, from_ms(event.time))
            read.published = events[-1].position
        self.count()

    async def emptied(self, shards: Sequence[Shard]) -> None:
        """Until everything of these is out, or they are ours no more."""
        while any(shard.pending for shard in shards if self.shards.get(shard.claim.shard) is shard):
            self._acknowledged.clear()
            await self._acknowledged.wait()

    async def publish(self) -> bool:
        """Sends one wave: the oldest events of every shard, to all places that do not refuse. False if there were none.
        Raises Outage when no broker answers; then send again."""
        places = {place for shard in self.shards.values() for place in shard.pending.open} - self.refusing
        refused = await self._send(places, WAVE_EVENTS_MAX)
        for (topic, partition), one in (refused or {}).items():
            log.warning("%s/%d is tried alone: %s", topic, partition, one.reason)
        return refused is not None

    async def _send(self, places: Collection[Place], limit: int) -> Mapping[Place, PlaceRefusal] | None:
        """None if there was nothing for them."""
        shares = [
            (shard, place, shard.pending.first(place, limit))
            for shard in self.shards.values()
            for place in shard.pending.open
            if place in places
        ]
        if not shares:
            return None
        refused = await self.publisher.send([event for *_, events in shares for event in events])
        left = {place: one.acknowledged for place, one in refused.items()}
        for shard, place, events in shares:
            count = min(len(events), left.get(place, len(events)))
            if place in left:
                left[place] -= count
            shard.pending.acknowledged(place, count)
            shard.claim.published = shard.pending.begins - 1
        self.refusing |= refused.keys()
        self._acknowledged.set()
        self.count()
        return refused

    async def keep_publishing(self) -> None:
        """Publishes whatever is committed until cancelled; an outage of the broker is waited out, loudly."""
        away, tried = False, set[Place]()
        async with asyncio.TaskGroup() as trials:
            while True:
                await self._unpublished.wait()
                tried &= self.refusing
                try:
                    await self.publish()
                    away = False
                except Outage as outage:
                    if not away:
                        log.warning("publishing waits for the broker: %s", outage)
                    away = True
                    await asyncio.sleep(RETRY_SECONDS)
                for place in self.refusing - tried:
                    trials.create_task(self._try(place))
                tried |= self.refusing

    async def _try(self, place: Place) -> None:
        """Sends to a place that refuses until it takes all again: one event, then twice as many each time, for perhaps
        only many at once are too much; and while it takes none it waits twice as long each time."""
        time = asyncio.get_running_loop().time
        name, delay, limit, well_at = f"{place[0]}/{place[1]}", RETRY_SECONDS, 1, time()
        while limit <= WAVE_EVENTS_MAX:
            await asyncio.sleep(delay)
            try:
                refused = await self._send({place}, limit)
            except Outage:
                delay = max(delay, RETRY_SECONDS)  # it may have gone well until now
                continue
            if refused is None:
                break
            if not refused or refused[place].acknowledged:
                well_at = time()
                self.problems.end(f"publishing {name}")
            if not refused:
                limit, delay = 2 * limit, 0
            elif limit > 1:
                limit, delay = 1, RETRY_SECONDS
            else:
                delay = min(2 * delay, RETRY_SECONDS_MAX)
                if time() - well_at > PROBLEM_AFTER_SECONDS:
                    sentence = f"{name} takes no records ({refused[place].reason}); what is to be there waits, in order"
                    self.problems.begin(f"publishing {name}", sentence, RECIPE)
        self.problems.end(f"publishing {name}")
        self.refusing.discard(place)
        self.count()

    async def note_published(self) -> None:
        """For shards without traffic: what is published is remembered without waiting for the next batch."""
        behind = [shard for shard in self.shards.values() if shard.claim.published > shard.published_noted]
        if behind:
            claims = [replace(shard.claim) for shard in behind]
            await self.store.note_published(claims)
            for shard, claim in zip(behind, claims, strict=True):
                shard.published_noted = claim.published
