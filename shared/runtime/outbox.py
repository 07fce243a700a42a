"""What is committed and not yet on the bus: published in order, remembered when it is there."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from shared.kernel.ports import Outage, Publisher, Store, StoredEvent
from shared.runtime.batch import Shard

log = logging.getLogger(__name__)

UNPUBLISHED_MAX = 20_000
"""Back-pressure: with more committed events waiting for the broker than this, no new records are taken."""
WAVE_EVENTS_MAX = 2_000
"""Of one shard."""


class Outbox:
    """Of the shards that a loop owns, as long as it does."""

    def __init__(self, publisher: Publisher, store: Store, shards: dict[int, Shard]) -> None:
        self.publisher, self.store, self.shards = publisher, store, shards
        self.room = asyncio.Event()
        """Clear while too much waits."""
        self.room.set()
        self._unpublished = asyncio.Event()
        self._acknowledged = asyncio.Event()

    def count(self) -> None:
        """After shards or what waits of them have changed."""
        waiting = sum(len(shard.pending) for shard in self.shards.values())
        (self._unpublished.set if waiting else self._unpublished.clear)()
        (self.room.clear if waiting > UNPUBLISHED_MAX else self.room.set)()

    def dropped(self) -> None:
        """Shards are ours no more: whoever waits for theirs waits for nothing."""
        self.count()
        self._acknowledged.set()

    async def drain(self, shard: Shard) -> None:
        """What the last owner committed and perhaps did not publish goes out before anything new."""
        while events := await self.store.unpublished(shard.claim, WAVE_EVENTS_MAX):
            await self.publisher.send(events)
            shard.claim.published = events[-1].position

    async def emptied(self, shards: Sequence[Shard]) -> None:
        """Until everything of these is out, or they are ours no more."""
        while any(shard.pending for shard in shards if self.shards.get(shard.claim.shard) is shard):
            self._acknowledged.clear()
            await self._acknowledged.wait()

    async def publish(self) -> bool:
        """Sends one wave: the oldest events of every shard. Raises Outage when unsure; then send again."""
        wave: list[StoredEvent] = []
        shares: list[tuple[Shard, int]] = []
        for shard in self.shards.values():
            if shard.pending:
                share = list(islice(shard.pending, WAVE_EVENTS_MAX))
                wave += share
                shares.append((shard, len(share)))
        if not wave:
            return False
        await self.publisher.send(wave)
        for shard, count in shares:
            for _ in range(count):
                shard.claim.published = shard.pending.popleft().position
        self._acknowledged.set()
        self.count()
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
