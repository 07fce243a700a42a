"""Who owns which shard: a lease in PostgreSQL, not Kafka's group protocol (DECISIONS.md).

A member lives while its row is fresh and its database session exists: a killed process loses its session at once and is
replaced in a fraction of a second; a frozen one is given up after the lease, and the epoch fences it when it thaws.
Each member takes its fair share: it gives back what is above it and claims what nobody living holds. One whom the
broker does not answer is no member while there are others: what it holds would lie idle.
"""

import asyncio
import logging
import time
from datetime import timedelta

from shared.kernel.ports import Fenced, Outage, Unstorable
from shared.runtime.postgres import database
from shared.runtime.presence import Presence
from shared.runtime.shard_loop import ShardLoop

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=3)
"""Without a look for so long, whatever we held may be somebody else's."""


class Membership:
    """This process among those of its service: `keep` says that it lives and moves it towards its fair share."""

    def __init__(
        self, dsn: str, schema: str, loop: ShardLoop, partitions: int, lease_seconds: float, look_seconds: float
    ) -> None:
        self.dsn, self.schema, self.loop, self.partitions = dsn, schema, loop, partitions
        self.lease_seconds, self.look_seconds = lease_seconds, look_seconds
        self.presence: Presence | None = None
        self.complete = asyncio.Event()
        """Set while we hold our fair share, ready to work."""
        self.reached = asyncio.Event()
        """Clear while the broker does not answer us."""
        self.reached.set()
        self.wake = asyncio.Event()
        """Set whenever there may be something to do: shards were dropped, or another member says so."""
        loop.dropped = self.wake.set
        self._moving: asyncio.Task[None] | None = None
        self._withheld: set[int] = set()
        """Shards that we asked for last and were not given, for somebody holds their rows."""
        self._news = False
        """The others should look, too."""

    async def keep(self) -> None:
        """Looks again and again until cancelled; an outage is waited out."""
        looked_at = time.monotonic()
        while True:
            self.wake.clear()
            try:
                if not self.reached.is_set() and self.presence is not None and not self.presence.alone:
                    await self._wait_outside()
                await self.look()
                looked_at = time.monotonic()
            except (Outage, Unstorable, Fenced, *database.ERRORS) as error:
                log.warning("membership: %s: %s", type(error).__name__, error)
                await self._disconnect()
                if time.monotonic() - looked_at > PATIENCE.total_seconds():
                    self.complete.clear()
                await asyncio.sleep(0.2)
                continue
            try:
                async with asyncio.timeout(self.look_seconds):
                    await self.wake.wait()
            except TimeoutError:
                pass

    async def look(self) -> None:
        """Says that we live, sees who else does, and begins to move towards the fair share.

        Moving shards may take a while (a broker that is away, a long tail to publish): it must not keep us from saying
        that we live, or the others would take everything.
        """
        if self.presence is None:
            self.presence = Presence(
                self.dsn, self.schema, self.loop.owner, self.partitions, self.lease_seconds, self.wake.set
            )
            self._news = True
        held = sorted(self.loop.shards)  # before we ask: a claim may be taking more meanwhile
        living, owners = await self.presence.look()
        taken = [shard for shard in held if owners[shard] != self.loop.owner]
        if taken:
            self.loop.drop(taken)
        mine = sorted(self.loop.shards)
        share, rest = divmod(len(owners), len(living))
        share += living.index(self.loop.owner) < rest
        stale = [shard for shard, owner in owners.items() if shard not in mine and owner == self.loop.owner]
        free = sorted(stale + [shard for shard, owner in owners.items() if owner not in living])
        free.sort(key=lambda shard: shard in self._withheld)
        if self._moving is None or self._moving.done():
            if self._moving is not None:
                self._moving.result()  # raises what nobody foresaw
            if len(mine) > share:
                self._moving = asyncio.create_task(self._release(mine[share:]))
            elif len(mine) < share and free:
                self._moving = asyncio.create_task(self._claim(free[: share - len(mine)]))
            elif stale:
                await self.presence.forget(stale)
                self._news = True
        if self._news:
            await self.presence.call()
            self._news = False
        if sum(shard.ready for shard in self.loop.shards.values()) >= share:
            self.complete.set()
        else:
            self.complete.clear()

    async def _claim(self, shards: list[int]) -> None:
        try:
            await self.loop.claim(shards)
        except (Outage, Unstorable, Fenced, *database.ERRORS) as error:
            log.warning("claim: %s: %s", type(error).__name__, error)
        self._withheld = set(shards) - self.loop.shards.keys()
        if self._withheld:
            await asyncio.sleep(0.2)
        self.wake.set()  # look again at once

    async def _release(self, shards: list[int]) -> None:
        try:
            await self.loop.release(shards)
        except (Outage, Unstorable, *database.ERRORS) as error:
            log.warning("release: %s: %s", type(error).__name__, error)
        self._news = True
        self.wake.set()  # look again at once

    async def _wait_outside(self) -> None:
        log.warning("the broker does not answer: leaving the shards to others")
        await self.leave()
        self.complete.clear()
        await self.reached.wait()
        log.info("the broker answers again")

    async def _disconnect(self) -> None:
        presence, self.presence = self.presence, None
        if presence is not None:
            await presence.end()

    async def leave(self) -> None:
        """Gives everything back, so that the others take over at once."""
        moving, self._moving = self._moving, None  # it is over: whoever looks again begins another one
        if moving is not None:
            moving.cancel()
            await asyncio.gather(moving, return_exceptions=True)
        try:
            await self.loop.release(sorted(self.loop.shards))
            if self.presence is not None:
                await self.presence.leave()
        except (Outage, Unstorable, *database.ERRORS) as error:
            log.warning("left without saying so: %s", error)
        await self._disconnect()
