"""What the durable side of the operators' queue must do, in memory and on PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from deploy.local.stack import Stack
from services import refund
from services.refund.projection import MemoryReviewTable, Review, ReviewPlace, ReviewTable
from services.refund.store import PostgresReviewTable
from shared.runtime.postgres.database import create_pool
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from tests.kit.stored_events import NOON

pytestmark = pytest.mark.rule("R62")


@dataclass
class Queue:
    table: ReviewTable
    pool: asyncpg.Pool | None = None

    async def change(self, *put: Review, gone: Sequence[ReviewPlace] = ()) -> None:
        if self.pool is None:
            await self.table.change(None, put, gone)
            return
        async with self.pool.acquire() as connection, connection.transaction():
            await self.table.change(connection, put, gone)

    async def waiting(self) -> Sequence[Review]:
        if isinstance(self.table, MemoryReviewTable):
            return sorted(self.table.reviews.values())
        assert self.pool is not None
        rows = await self.pool.fetch("SELECT * FROM review ORDER BY order_id, settlement_id, leg")
        return [Review(ReviewPlace(*row[:3]), *row[3:]) for row in map(tuple, rows)]


@pytest.fixture
async def queue(real: Stack | None) -> AsyncIterator[Queue]:
    if real is None:
        yield Queue(MemoryReviewTable())
        return
    schema = f"refund_{uuid4().hex[:8]}"
    await migrate(real.database_url, schema, [KERNEL_MIGRATIONS, Path(refund.__path__[0]) / "migrations"])
    pool = await create_pool(real.database_url, schema, 1)
    yield Queue(PostgresReviewTable(), pool)
    await pool.execute(f'DROP SCHEMA "{schema}" CASCADE')
    await pool.close()


def review(settlement_id: str = "s1", minutes: int = 0, reason: str = "final_failure", **said: object) -> Review:
    place, since = ReviewPlace("order-1", settlement_id, "refund"), NOON + timedelta(minutes=minutes)
    silent: dict[str, object] = dict.fromkeys(Review._fields[6:])
    return Review(place, since, reason, 500, "EUR", NOON + timedelta(days=14), **(silent | said))  # type: ignore[arg-type]


async def test_what_waits_is_kept_as_it_was(queue: Queue) -> None:
    told = review("s2", provider_said="settled", provider_amount_minor=10**12, provider_currency="JPY", code="closed")
    await queue.change(review("s1"), told)

    assert await queue.waiting() == [review("s1"), told]


async def test_another_word_is_told_and_since_when_it_waits_stays(queue: Queue) -> None:
    await queue.change(review())
    await queue.change(review(minutes=5, reason="settled_again", provider_reference="bank-2"))

    assert await queue.waiting() == [review(reason="settled_again", provider_reference="bank-2")]


async def test_what_came_to_an_end_waits_no_more(queue: Queue) -> None:
    await queue.change(review("s1"), review("s2"))
    await queue.change(gone=[review("s1").place, ReviewPlace("order-1", "never", "refund")])

    assert await queue.waiting() == [review("s2")]


async def test_what_ends_and_waits_in_one_commit_waits_by_what_was_last(queue: Queue) -> None:
    await queue.change(review("s1"))
    await queue.change(review("s2"), gone=[review("s1").place])

    assert await queue.waiting() == [review("s2")]
