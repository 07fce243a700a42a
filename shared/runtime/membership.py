"""Who owns which shard: a lease in PostgreSQL, not Kafka's group protocol (DECISIONS.md).

A member lives while its row is fresh and its database session exists: a killed process loses its session at once and is
replaced in a fraction of a second; a frozen one is given up after the lease, and the epoch fences it when it thaws.
Each member takes its fair share: it gives back what is above it and claims what nobody living holds. One whom the
broker does not answer is no member while there are others: what it holds would lie idle.
"""

import asyncio
import logging
from typing import Any

import asyncpg

from shared.kernel.ports import Fenced, Outage
from shared.runtime.postgres import database
from shared.runtime.shard_loop import ShardLoop

log = logging.getLogger(__name__)

LOOK = """
WITH me AS (
    INSERT INTO member (id, pid, seen) VALUES ($1, pg_backend_pid(), clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET seen = excluded.seen, pid = excluded.pid
), gone AS (
    DELETE FROM member WHERE id <> $1 AND (
        seen < clock_timestamp() - make_interval(secs => $2)
        OR pid NOT IN (SELECT pid FROM pg_stat_activity WHERE pid IS NOT NULL))
    RETURNING id
)
SELECT id FROM member WHERE id NOT IN (SELECT id FROM gone) UNION SELECT $1
"""
# A release whose outcome nobody knew: the table says that we own what we do not hold.
FORGET = "UPDATE shard SET owner = NULL WHERE shard = ANY ($1::int[]) AND owner = $2"
PREPARE = "INSERT INTO shard (shard) SELECT * FROM generate_series(0, $1 - 1) ON CONFLICT DO NOTHING"


class Membership:
    """This process among those of its service: `keep` says that it lives and moves it towards its fair share."""

    def __init__(
        self, dsn: str, schema: str, loop: ShardLoop, partitions: int, lease_seconds: float, look_seconds: float
    ) -> None:
        self.dsn, self.schema, self.loop, self.partitions = dsn, schema, loop, partitions
        self.lease_seconds, self.look_seconds = lease_seconds, look_seconds
        self.channel = f"recourse_{schema}"
        self.connection: asyncpg.Connection | None = None
        self.complete = asyncio.Event()
        """Set while we hold our fair share, ready to work."""
        self.reached = asyncio.Event()
        """Clear while the broker does not answer us."""
        self.reached.set()
        self.wake = asyncio.Event()
        """Set whenever there may be something to do: shards were dropped, or another member says so."""
        loop.dropped = self.wake.set
        self._moving: asyncio.Task[None] | None = None
        self._gave_back = False
        self._alone = True

    async def keep(self) -> None:
        """Looks again and again until cancelled; an outage is waited out."""
        while True:
            self.wake.clear()
            try:
                if not self.reached.is_set() and not self._alone:
                    await self._wait_outside()
                await self.look()
            except (Outage, Fenced, *database.ERRORS) as error:
                log.warning("membership: %s: %s", type(error).__name__, error)
                self._disconnect()
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
        connection = await self._connected()
        held = sorted(self.loop.shards)  # before we ask: a claim may be taking more meanwhile
        living = sorted(row[0] for row in await connection.fetch(LOOK, self.loop.owner, self.lease_seconds))
        self._alone = living == [self.loop.owner]
        owners = dict(await connection.fetch("SELECT shard, owner FROM shard"))
        taken = [shard for shard in held if owners[shard] != self.loop.owner]
        if taken:
            self.loop.drop(taken)
        mine = sorted(self.loop.shards)
        share, rest = divmod(len(owners), len(living))
        share += living.index(self.loop.owner) < rest
        stale = [shard for shard, owner in owners.items() if shard not in mine and owner == self.loop.owner]
        free = sorted(stale + [shard for shard, owner in owners.items() if owner not in living])
        if self._moving is None or self._moving.done():
            if self._moving is not None:
                self._moving.result()  # raises what nobody foresaw
            if len(mine) > share:
                self._moving = asyncio.create_task(self._release(mine[share:]))
            elif len(mine) < share and free:
                self._moving = asyncio.create_task(self._claim(free[: share - len(mine)]))
            elif stale:
                await connection.execute(FORGET, stale, self.loop.owner)
                self._gave_back = True
        if self._gave_back:
            await connection.execute(f'NOTIFY "{self.channel}"')
            self._gave_back = False
        if sum(shard.ready for shard in self.loop.shards.values()) >= share:
            self.complete.set()
        else:
            self.complete.clear()

    async def _claim(self, shards: list[int]) -> None:
        try:
            await self.loop.claim(shards)
        except (Outage, Fenced, *database.ERRORS) as error:
            log.warning("claim: %s: %s", type(error).__name__, error)
            await asyncio.sleep(0.2)
        self.wake.set()  # look again at once

    async def _release(self, shards: list[int]) -> None:
        try:
            await self.loop.release(shards)
        except (Outage, *database.ERRORS) as error:
            log.warning("release: %s: %s", type(error).__name__, error)
        self._gave_back = True
        self.wake.set()  # look again at once

    async def _wait_outside(self) -> None:
        log.warning("the broker does not answer: leaving the shards to others")
        await self.leave()
        self.complete.clear()
        await self.reached.wait()
        log.info("the broker answers again")

    async def _connected(self) -> Any:
        if self.connection is None or self.connection.is_closed():
            self.connection = await database.connect(self.dsn, self.schema, "member")
            await self.connection.execute(PREPARE, self.partitions)
            await self.connection.add_listener(self.channel, lambda *_: self.wake.set())
            await self.connection.execute(f'NOTIFY "{self.channel}"')
        return self.connection

    def _disconnect(self) -> None:
        if self.connection is not None:
            self.connection.terminate()
            self.connection = None

    async def leave(self) -> None:
        """Gives everything back, so that the others take over at once."""
        if self._moving is not None:
            self._moving.cancel()
            await asyncio.gather(self._moving, return_exceptions=True)
        try:
            await self.loop.release(sorted(self.loop.shards))
            connection = await self._connected()
            await connection.execute("DELETE FROM member WHERE id = $1", self.loop.owner)
            await connection.execute(f'NOTIFY "{self.channel}"')
        except (Outage, *database.ERRORS) as error:
            log.warning("left without saying so: %s", error)
        self._disconnect()
