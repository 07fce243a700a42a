"""The queue of letters and webhooks, and how people are reached, in PostgreSQL."""

from collections.abc import Collection, Sequence
from typing import Any

import asyncpg
from pydantic import TypeAdapter

from schemas.notification.events import LookupQueued, Queued, WebhookQueued
from schemas.people import OwnWebhook, Person
from services.notification.projection import Delivery, DeliveryChange, QueueName
from services.notification.states import AnyQueued

QUEUE = """
INSERT INTO delivery (shard, delivery_id, channel, attempts, next_attempt_at, correlation_id, letter)
SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::text[], $7::json[])
"""
POSTPONE = """
UPDATE delivery SET attempts = postponed.attempts, next_attempt_at = postponed.next_attempt_at
FROM unnest($1::int[], $2::text[], $3::int[], $4::timestamptz[])
    AS postponed (shard, delivery_id, attempts, next_attempt_at)
WHERE delivery.shard = postponed.shard AND delivery.delivery_id = postponed.delivery_id
"""
HASTEN = """
UPDATE delivery SET next_attempt_at = hastened.at FROM unnest($1::int[], $2::text[], $3::timestamptz[])
    AS hastened (shard, delivery_id, at)
WHERE delivery.shard = hastened.shard AND delivery.delivery_id = hastened.delivery_id
"""
HOLD = """
UPDATE delivery SET next_attempt_at = 'infinity' FROM unnest($1::int[], $2::text[]) AS held (shard, delivery_id)
WHERE delivery.shard = held.shard AND delivery.delivery_id = held.delivery_id
"""
END = """
DELETE FROM delivery USING unnest($1::int[], $2::text[]) AS ended (shard, delivery_id)
WHERE delivery.shard = ended.shard AND delivery.delivery_id = ended.delivery_id
"""
NEXT = """
SELECT next.* FROM unnest($1::int[]) AS mine (shard) CROSS JOIN unnest($2::text[]) AS ours (queue) CROSS JOIN LATERAL (
    SELECT shard, attempts, next_attempt_at, correlation_id, channel, letter FROM delivery
    WHERE delivery.shard = mine.shard AND delivery.queue = ours.queue AND delivery_id != ALL ($3::text[])
        AND next_attempt_at < 'infinity' AND delivery.endpoint != ALL ($5::text[])
    ORDER BY next_attempt_at LIMIT $4
) AS next ORDER BY next_attempt_at LIMIT $4
"""
FIND = "SELECT person_id, email, locale, time_zone, webhooks FROM person WHERE person_id = $1"
KEEP = """
INSERT INTO person (person_id, email, locale, time_zone, webhooks)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::json[])
ON CONFLICT (person_id) DO UPDATE
SET email = EXCLUDED.email, locale = EXCLUDED.locale, time_zone = EXCLUDED.time_zone, webhooks = EXCLUDED.webhooks
"""
MODELS: dict[str, type[AnyQueued]] = {
    "email": Queued,
    "webhook": WebhookQueued,
    "own_webhook": WebhookQueued,
    "lookup": LookupQueued,
}
"""By the column `channel`: the queue, but for what is about a role."""
WEBHOOKS = TypeAdapter(tuple[OwnWebhook, ...])


class PostgresDeliveryTable:
    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool

    async def next(
        self, queues: Sequence[QueueName], shards: Sequence[int], but: Sequence[str], limit: int, busy: Collection[str]
    ) -> list[Delivery]:
        rows = await self.pool.fetch(NEXT, shards, queues, but, limit, list(busy))
        return [
            Delivery(shard, attempts, at, story, MODELS[channel].read(text))
            for shard, attempts, at, story, channel, text in rows
        ]

    async def write(self, transaction: Any, change: DeliveryChange) -> None:
        queued = [
            (
                *(one.shard, one.id, one.queue.partition("/")[0]),
                *(one.attempts, one.next_attempt_at),
                *(one.correlation_id, one.queued.model_dump_json()),
            )
            for one in change.queued
        ]
        postponed = [(shard, one.delivery_id, one.attempts, one.next_attempt_at) for shard, one in change.postponed]
        for statement, rows in (
            (QUEUE, queued),
            (HOLD, change.held),
            (POSTPONE, postponed),
            (HASTEN, change.hastened),
            (END, change.ended),
        ):
            if rows:
                await transaction.execute(statement, *map(list, zip(*rows, strict=True)))


class PostgresPeopleTable:
    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool

    async def find(self, person_id: str) -> Person | None:
        row = await self.pool.fetchrow(FIND, person_id)
        return (
            Person.model_construct(**dict(row) | {"webhooks": WEBHOOKS.validate_json(row["webhooks"])}) if row else None
        )

    async def write(self, transaction: Any, people: Sequence[Person]) -> None:
        rows = [
            (one.person_id, one.email, one.locale, one.time_zone, WEBHOOKS.dump_json(one.webhooks).decode())
            for one in people
        ]
        await transaction.execute(KEEP, *map(list, zip(*rows, strict=True)))
