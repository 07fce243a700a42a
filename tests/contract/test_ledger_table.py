"""What the durable side of the ledger must do, in memory and on PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from deploy.local.stack import Stack
from services import refund
from services.refund.ledger import BookedEntry, Entry
from services.refund.projection import LedgerTable, MemoryLedgerTable
from services.refund.store import PostgresLedgerTable
from shared.runtime.postgres.database import create_pool
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from tests.kit.stored_events import NOON

pytestmark = pytest.mark.rule("R22")

KEPT = """
SELECT entry_id, order_id, event_type, booked_at, currency, gives.account, takes.account, takes.amount_minor
FROM ledger_entry JOIN ledger_posting AS gives USING (entry_id) JOIN ledger_posting AS takes USING (entry_id)
WHERE gives.side = -1 AND takes.side = 1 AND gives.amount_minor + takes.amount_minor = 0
"""


@dataclass
class Books:
    table: LedgerTable
    pool: asyncpg.Pool | None = None

    async def add(self, *booked: BookedEntry) -> None:
        if self.pool is None:
            await self.table.add(None, booked)
            return
        async with self.pool.acquire() as connection, connection.transaction():
            await self.table.add(connection, booked)

    async def kept(self) -> Sequence[BookedEntry]:
        if isinstance(self.table, MemoryLedgerTable):
            return sorted(self.table.entries.values())
        assert self.pool is not None
        rows = await self.pool.fetch(KEPT)
        return sorted(BookedEntry(row[0], row[1], row[2], row[3], Entry(*row[4:])) for row in rows)


@pytest.fixture
async def books(real: Stack | None) -> AsyncIterator[Books]:
    if real is None:
        yield Books(MemoryLedgerTable())
        return
    schema = f"refund_{uuid4().hex[:8]}"
    await migrate(real.database_url, schema, [KERNEL_MIGRATIONS, Path(refund.__path__[0]) / "migrations"])
    pool = await create_pool(real.database_url, schema, 1)
    yield Books(PostgresLedgerTable(), pool)
    await pool.execute(f'DROP SCHEMA "{schema}" CASCADE')
    await pool.close()


def booked(id_: str, minutes: int = 0, amount_minor: int = 500) -> BookedEntry:
    made = Entry("EUR", "escrow:order-1", "buyer:bea", amount_minor)
    return BookedEntry(id_, "order-1", "refund.settled.v1", NOON + timedelta(minutes=minutes), made)


async def test_what_is_added_is_kept_as_it_was(books: Books) -> None:
    first, second, third = booked("a"), booked("b", minutes=1, amount_minor=1), booked("c", amount_minor=10**12)
    await books.add(first, second)
    await books.add(third)
    assert await books.kept() == [first, second, third]


@pytest.mark.parametrize("again", [booked("a"), booked("a", amount_minor=9)], ids=["the same", "another"])
async def test_nothing_is_booked_twice_under_one_id(books: Books, again: BookedEntry) -> None:
    await books.add(booked("a"))
    with pytest.raises((ValueError, asyncpg.UniqueViolationError)):
        await books.add(booked("b"), again)
    assert booked("a") in await books.kept()
