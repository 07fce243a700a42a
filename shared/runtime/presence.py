"""A member's session in PostgreSQL, and what keeps it alive in the eyes of others while it computes.

It lives in a thread with an event loop of its own: a step that computes for longer than the lease holds up the loop of
the service, not this one. Only who gives no sign of life for HUNG_AFTER is given up, however well his session is.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from shared.runtime.postgres import database
from shared.runtime.progress import STALLED_AFTER

T = TypeVar("T")

HUNG_AFTER = STALLED_AFTER
"""Who does not come to his turn for so long hangs: /health says so, and others may have what is his."""
GLANCE_SECONDS = 0.2
"""So often a member looks whether another one has died: a question that writes nothing."""
# A lock that all sessions of a member share for as long as they last: who gets it for himself alone knows that there is
# none. A pooler lets go of it, too, when its client is gone; the session behind it lives on.
JOIN = "SELECT pg_advisory_lock_shared(hashtextextended('recourse member ' || $1, 0))"
IS_GONE = "pg_try_advisory_xact_lock(hashtextextended('recourse member ' || id, 0))"
SOMEBODY_IS_GONE = f"SELECT EXISTS (SELECT FROM member WHERE id <> $1 AND {IS_GONE})"
RENEW = "UPDATE member SET seen = clock_timestamp() WHERE id = $1"
LOOK = f"""
WITH me AS (
    INSERT INTO member (id, pid, seen) VALUES ($1, pg_backend_pid(), clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET seen = excluded.seen, pid = excluded.pid
), gone AS (
    DELETE FROM member WHERE id <> $1 AND (seen < clock_timestamp() - make_interval(secs => $2) OR {IS_GONE})
    RETURNING id
)
SELECT id FROM member WHERE id NOT IN (SELECT id FROM gone) UNION SELECT $1
"""
PREPARE = """
INSERT INTO shard (shard) SELECT number FROM generate_series(0, $1 - 1) AS number
WHERE number NOT IN (SELECT shard FROM shard) ON CONFLICT DO NOTHING
"""
# A row that somebody holds is left out here as it is in a claim: we would not say that we live while we wait for it.
FORGET = """
UPDATE shard SET owner = NULL
WHERE shard IN (SELECT shard FROM shard WHERE shard = ANY ($1::int[]) AND owner = $2 FOR UPDATE SKIP LOCKED)
"""


class Presence:
    """One session, opened by the first look. `wake` is called, in the loop of whoever made it, when there may be
    something to see. Every question may raise what the database raises; then this one is at its end."""

    def __init__(
        self, dsn: str, schema: str, owner: str, partitions: int, lease_seconds: float, wake: Callable[[], None]
    ) -> None:
        self.dsn, self.schema, self.owner = dsn, schema, owner
        self.partitions, self.lease_seconds = partitions, lease_seconds
        self.alone = True
        """When we last looked, there was nobody else."""
        self._wake: Callable[[], Any] = partial(asyncio.get_running_loop().call_soon_threadsafe, wake)
        self._connection: Any = None
        self._asked_at = self._renewed_at = time.monotonic()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)
        self._thread.start()
        self._begun.wait()

    async def look(self) -> tuple[list[str], Mapping[int, str | None]]:
        """Says that we live; who else does, in order, and whose each shard is."""
        return await self._ask(self._look)

    async def call(self) -> None:
        """Lets the others look, too."""
        await self._ask(self._call)

    async def forget(self, shards: Sequence[int]) -> None:
        """They are ours in the table alone: a release whose outcome nobody knew."""
        await self._ask(lambda connection: connection.execute(FORGET, shards, self.owner))

    async def leave(self) -> None:
        await self._ask(lambda connection: connection.execute("DELETE FROM member WHERE id = $1", self.owner))
        await self.call()

    async def end(self) -> None:
        """Without a word, as death does: others notice it at once."""
        self._loop.call_soon_threadsafe(self._life.cancel)
        await asyncio.to_thread(self._thread.join)

    async def _ask(self, question: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """What `question` finds out; and a sign of life of whoever asks."""
        self._asked_at = time.monotonic()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._answer(question), self._loop))

    # -- in the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._live())

    async def _live(self) -> None:
        life = asyncio.current_task()
        assert life is not None
        self._loop, self._life, self._turn = asyncio.get_running_loop(), life, asyncio.Lock()
        self._begun.set()
        try:
            while True:
                await asyncio.sleep(GLANCE_SECONDS)
                if self._connection is not None:
                    await self._glance(self._connection)
        finally:
            if self._connection is not None:
                self._connection.terminate()

    async def _answer(self, question: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        async with self._turn:
            if self._connection is None:
                self._connection = await database.connect(self.dsn, self.schema, "member")
                await self._connection.execute(JOIN, self.owner)
                await self._connection.execute(PREPARE, self.partitions)
                await self._connection.add_listener(self._channel, lambda *_: self._wake())
            return await question(self._connection)

    async def _glance(self, connection: Any) -> None:
        now = time.monotonic()
        late = now - self._renewed_at > self.lease_seconds * 0.4
        hangs = now - self._asked_at > HUNG_AFTER.total_seconds()
        try:
            async with self._turn:
                if late and not hangs:
                    await connection.execute(RENEW, self.owner)
                    self._renewed_at = time.monotonic()
                elif not self.alone and await connection.fetchval(SOMEBODY_IS_GONE, self.owner):
                    self._wake()
        except database.ERRORS:
            self._wake()  # whoever looks now hears it himself

    async def _look(self, connection: Any) -> tuple[list[str], Mapping[int, str | None]]:
        living = sorted(row[0] for row in await connection.fetch(LOOK, self.owner, self.lease_seconds))
        self._renewed_at, self.alone = time.monotonic(), living == [self.owner]
        return living, dict(await connection.fetch("SELECT shard, owner FROM shard"))

    async def _call(self, connection: Any) -> None:
        await connection.execute(f'NOTIFY "{self._channel}"')

    @property
    def _channel(self) -> str:
        return f"recourse_{self.schema}"
