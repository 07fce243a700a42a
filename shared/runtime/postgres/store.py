"""The store of the shard loop on PostgreSQL."""

import asyncio
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import asyncpg

from schemas.wire import snapshots
from shared.kernel import codec
from shared.kernel.ports import (
    KEPT,
    REPLIES,
    SAID_EVENTS,
    Claim,
    Commit,
    Cursor,
    Fenced,
    Parked,
    Place,
    Projection,
    Record,
    StoredEvent,
)
from shared.runtime.postgres.database import outage

READ_AT_ONCE_MAX = 2_000
COPY_FROM = 50
"""So many events and more go by COPY, which costs two round trips and a third as much for each."""
# A shard may be taken from nobody, from a member that is gone, and from oneself (after a doubtful commit); whoever held
# it before is fenced from then on. One whose row somebody holds, who froze in mid-commit perhaps, is left out: it must
# not hold up the others.
CLAIM = """
WITH free AS (
    SELECT shard FROM shard
    WHERE shard = ANY ($1::int[]) AND (owner IS NULL OR owner = $2 OR owner NOT IN (SELECT id FROM member))
    FOR UPDATE SKIP LOCKED
)
UPDATE shard SET epoch = epoch + 1, owner = $2 FROM free WHERE shard.shard = free.shard
RETURNING shard.shard, epoch, position, sequence, published, commits
"""
RELEASE = """
UPDATE shard SET owner = NULL, published = greatest(shard.published, mine.published)
FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[]) AS mine (shard, epoch, published, commits)
WHERE shard.shard = mine.shard AND shard.epoch = mine.epoch AND shard.commits >= mine.commits
"""
NOTE_PUBLISHED = RELEASE.replace("owner = NULL, ", "")
CHECK = """
SELECT count(*) FROM shard
JOIN unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[]) AS mine (shard, epoch, position, commits)
    ON shard.shard = mine.shard AND shard.epoch = mine.epoch AND shard.position >= mine.position
    AND shard.commits >= mine.commits
"""
# One statement, all or nothing. The division is the fence: where a shard is no longer ours the update finds fewer rows
# than it should, and the whole statement fails. So it does where the shard does not stand where this commit goes on
# from: these rows were put back, or are another server's, and an epoch may be the same there.
COMMIT = """
WITH fence AS (
    UPDATE shard SET position = mine.position, sequence = mine.sequence,
        published = greatest(shard.published, mine.published), commits = shard.commits + 1
    FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
        AS mine (shard, epoch, before, position, sequence, published, commits)
    WHERE shard.shard = mine.shard AND shard.epoch = mine.epoch AND shard.position = mine.before
        AND shard.commits >= mine.commits
    RETURNING 1
), cursors AS (
    INSERT INTO cursor (shard, topic, next_offset, time, topic_id)
    SELECT * FROM unnest($8::int[], $9::text[], $10::bigint[], $11::bigint[], $12::text[])
    ON CONFLICT (shard, topic) DO UPDATE
    SET next_offset = excluded.next_offset, time = excluded.time, topic_id = excluded.topic_id
), marks AS (
    INSERT INTO mark (shard, topic, source, sequence)
    SELECT * FROM unnest($13::int[], $14::text[], $15::text[], $16::bigint[])
    ON CONFLICT (shard, topic, source) DO UPDATE SET sequence = excluded.sequence
), events AS (
    INSERT INTO event (shard, position, sequence, topic, partition, key, order_id, type, time, id, causation_id,
        correlation_id, command_id, asked, digest, traceparent, headers, data)
    SELECT * FROM unnest($17::int[], $18::bigint[], $19::bigint[], $20::text[], $21::int[], $22::bytea[], $23::text[],
        $24::text[], $25::bigint[], $26::text[], $27::text[], $28::text[], $29::text[], $30::bytea[], $31::bytea[],
        $32::text[], $33::bytea[], $34::bytea[])
)
SELECT 1 / ((SELECT count(*) FROM fence) = cardinality($1::int[]))::int
"""
COLUMNS = tuple("order_id" if name == "stream_id" else name for name in KEPT)
"""The stream is an order, but for the roster of mediators."""
EVENT = ", ".join(COLUMNS)
LOAD = f"""
SELECT {EVENT} FROM event JOIN unnest($1::int[], $2::text[]) AS wanted (shard, order_id) USING (shard, order_id)
WHERE type !~ '{REPLIES}' ORDER BY shard, position
"""
# Each half ends at the first row that its index brings: it does not matter how often somebody was refused.
ANSWERED = f"""
SELECT {EVENT} FROM unnest($1::int[], $2::bytea[], $3::bytea[]) AS wanted (number, what, body) CROSS JOIN LATERAL (
    (SELECT * FROM event WHERE shard = number AND asked = what AND digest = body LIMIT 1)
    UNION ALL
    (SELECT * FROM event WHERE shard = number AND asked = what LIMIT 1)
) AS answer
"""
LOAD_FROM_SNAPSHOT = f"""
SELECT {EVENT} FROM event JOIN (
    SELECT wanted.*, (
        SELECT max(position) FROM event AS whole
        WHERE whole.shard = wanted.shard AND whole.order_id = wanted.order_id AND whole.type = ANY ($3::text[])
            AND whole.type !~ '{REPLIES}'
    ) AS since
    FROM unnest($1::int[], $2::text[]) AS wanted (shard, order_id)
) AS wanted USING (shard, order_id)
WHERE position >= coalesce(since, 0) AND type !~ '{REPLIES}' ORDER BY shard, position
"""
UNPUBLISHED = f"""
SELECT {EVENT} FROM event WHERE shard = $1 AND position > $2 AND topic IS NOT NULL ORDER BY position LIMIT $3
"""
SAID = f"""
SELECT shard, topic, max(sequence)
FROM event JOIN unnest($1::int[], $2::bigint[]) AS mine (shard, published) USING (shard)
WHERE position > published - {SAID_EVENTS} AND position <= published AND topic IS NOT NULL AND partition = shard
GROUP BY shard, topic
"""
PARK = """
INSERT INTO parked (shard, order_id, topic, partition, "offset", timestamp, key, value, headers)
SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bytea[],
    $8::bytea[], $9::bytea[])
"""
PARKED = """
SELECT number, topic, partition, "offset", timestamp, key, value, headers
FROM parked WHERE shard = $1 AND order_id = $2 ORDER BY number LIMIT $3
"""
UNPARK = """
DELETE FROM parked USING unnest($1::int[], $2::text[], $3::bigint[]) AS done (shard, order_id, number)
WHERE parked.shard = done.shard AND parked.order_id = done.order_id AND parked.number <= done.number
"""


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


_values = attrgetter(*KEPT)


def _stored(event: StoredEvent) -> tuple[Any, ...]:
    *values, headers, data = _values(event)
    return (*values, None if headers is None else codec.pack_headers(headers), data)


def _read(row: Sequence[Any]) -> StoredEvent:
    *values, headers, data = row
    return StoredEvent(*[*values, None if headers is None else codec.unpack_headers(headers), data])


class PostgresStore:
    """One service's schema, over a pool whose sessions find it in their search path."""

    def __init__(self, pool: asyncpg.Pool, projections: Sequence[Projection]) -> None:
        self.pool, self.projections = pool, projections

    async def claim(self, shards: Sequence[int], owner: str) -> list[Claim]:
        with outage():
            rows = await self.pool.fetch(CLAIM, list(shards), owner)
            claims = {row["shard"]: Claim(**row) for row in rows}
            numbers = list(claims)
            cursors = "SELECT shard, topic, next_offset, time, topic_id FROM cursor WHERE shard = ANY ($1::int[])"
            for shard, topic, *cursor in await self.pool.fetch(cursors, numbers):
                claims[shard].cursors[topic] = Cursor(*cursor)
            marks = "SELECT shard, topic, source, sequence FROM mark WHERE shard = ANY ($1::int[])"
            for shard, topic, source, sequence in await self.pool.fetch(marks, numbers):
                claims[shard].marks[topic, source] = sequence
            parked = "SELECT DISTINCT shard, order_id FROM parked WHERE shard = ANY ($1::int[])"
            for shard, stream_id in await self.pool.fetch(parked, numbers):
                claims[shard].parked.add(stream_id)
        return list(claims.values())

    async def release(self, claims: Sequence[Claim]) -> None:
        await self._published(RELEASE, claims)

    async def note_published(self, claims: Sequence[Claim]) -> None:
        await self._published(NOTE_PUBLISHED, claims)

    async def _published(self, statement: str, claims: Sequence[Claim]) -> None:
        columns = _columns([(claim.shard, claim.epoch, claim.published, claim.commits) for claim in claims], 4)
        with outage():
            await self.pool.execute(statement, *columns)

    async def check(self, claims: Sequence[Claim]) -> None:
        columns = _columns([(claim.shard, claim.epoch, claim.position, claim.commits) for claim in claims], 4)
        with outage():
            ours = await self.pool.fetchval(CHECK, *columns)
        if ours != len(claims):
            raise Fenced

    async def load(self, streams: Sequence[tuple[int, str]]) -> dict[tuple[int, str], list[StoredEvent]]:
        loaded: dict[tuple[int, str], list[StoredEvent]] = {}
        whole = snapshots()
        query = (LOAD_FROM_SNAPSHOT, *_columns(streams, 2), whole) if whole else (LOAD, *_columns(streams, 2))
        with outage():
            rows = await self.pool.fetch(*query)
        for number, row in enumerate(rows, start=1):
            loaded.setdefault((row["shard"], row["order_id"]), []).append(_read(row))
            if number % READ_AT_ONCE_MAX == 0:
                await asyncio.sleep(0)  # there are others in this process
        return loaded

    async def answered(self, commands: Sequence[tuple[int, bytes, bytes]]) -> list[StoredEvent]:
        with outage():
            return [_read(row) for row in await self.pool.fetch(ANSWERED, *_columns(commands, 3))]

    async def unpublished(self, claim: Claim, limit: int) -> list[StoredEvent]:
        with outage():
            return [_read(row) for row in await self.pool.fetch(UNPUBLISHED, claim.shard, claim.published, limit)]

    async def said(self, claims: Sequence[Claim]) -> dict[Place, int]:
        columns = _columns([(claim.shard, claim.published) for claim in claims], 2)
        with outage():
            return {(topic, shard): sequence for shard, topic, sequence in await self.pool.fetch(SAID, *columns)}

    async def parked(self, shard: int, stream_id: str, limit: int) -> list[Parked]:
        with outage():
            rows = await self.pool.fetch(PARKED, shard, stream_id, limit)
        return [
            Parked(number, Record(topic, partition, offset, timestamp, key, value, codec.unpack_headers(headers)))
            for number, topic, partition, offset, timestamp, key, value, headers in rows
        ]

    async def commit(self, commit: Commit) -> None:
        in_one_statement = not (self.projections or commit.parked or commit.released or len(commit.events) >= COPY_FROM)
        try:
            with outage():
                async with self.pool.acquire() as connection:
                    if in_one_statement:
                        await self._write(connection, commit, commit.events)
                    else:
                        async with connection.transaction():
                            await self._write_whole(connection, commit)
        except BaseException:
            await self.pool.expire_connections()
            raise
        for claim in commit.claims:
            claim.commits += 1

    async def _write_whole(self, connection: Any, commit: Commit) -> None:
        if len(commit.events) < COPY_FROM:
            await self._write(connection, commit, commit.events)
        else:
            await self._write(connection, commit, ())
            rows = map(_stored, commit.events)
            await connection.copy_records_to_table("event", records=rows, columns=COLUMNS)
        if commit.released:
            await connection.execute(UNPARK, *_columns(commit.released, 3))
        if commit.parked:
            parked = [
                (
                    *(shard, stream_id, r.topic, r.partition, r.offset, r.timestamp, r.key, r.value),
                    codec.pack_headers(r.headers),
                )
                for shard, stream_id, r in commit.parked
            ]
            await connection.execute(PARK, *_columns(parked, 9))
        for projection in self.projections:
            await projection.apply(connection, commit.inputs, commit.events)

    @staticmethod
    async def _write(connection: Any, commit: Commit, events: Sequence[StoredEvent]) -> None:
        shards = [
            (c.shard, c.epoch, before, c.position, c.sequence, c.published, c.commits)
            for c, before in zip(commit.claims, commit.before(), strict=True)
        ]
        cursors = [(shard, topic, c.offset, c.time, c.topic_id) for shard, topic, c in commit.cursors]
        rows = list(map(_stored, events))
        arguments = [
            *_columns(shards, 7),
            *_columns(cursors, 5),
            *_columns(commit.marks, 4),
            *_columns(rows, len(COLUMNS)),
        ]
        try:
            await connection.execute(COMMIT, *arguments)
        except asyncpg.DivisionByZeroError:
            raise Fenced from None
