"""The money of all orders in PostgreSQL says what the records say, however they came."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import uuid4

import asyncpg
import pytest

from deploy.local.stack import Stack
from schemas.instants import EPOCH
from services import casefile
from services.casefile.books.ledger_reading import EntryFilter, EntryShown, entry_shown
from services.casefile.books.ledger_store import PostgresLedgerTables
from services.casefile.books.money import LedgerEntry, MoneyMovement, books, concerns_money
from services.casefile.books.money_store import MoneyOfOrders
from services.casefile.shown.shapes import AsOf
from services.casefile.tables.projection import KeptRecords
from services.casefile.tables.store import PostgresCaseTables
from shared.kernel.ports import Projection, Record
from shared.runtime.postgres.database import create_pool
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from tests.simulation.plan import RULES, draw
from tests.simulation.play import play
from tests.support.pace import hear

pytestmark = [pytest.mark.stack, pytest.mark.rule("R22"), pytest.mark.timeout(180)]

SEEDS = range(6)
AS_OF = AsOf(at=EPOCH, records={}, behind_seconds=0.0)
FOLLOWED = (".events", ".roster", ".dead-letters")


@dataclass
class Kept:
    """Tables that have heard the records of some histories, in batches and with topics read at different pace."""

    pool: asyncpg.Pool
    tables: PostgresLedgerTables
    records: Sequence[Record]

    def expected(self) -> Sequence[LedgerEntry]:
        by_order = defaultdict(list)
        for record in self.records:
            if concerns_money(record):
                by_order[(record.key or b"").decode()].append(record)
        return [one for order_id, said in by_order.items() for one in books(order_id, said, RULES).entries]


@pytest.fixture(scope="module", params=SEEDS)
def history(request: pytest.FixtureRequest) -> Sequence[Record]:
    return [record for record in play(draw(request.param)).world.bus.heard if record.topic.endswith(FOLLOWED)]


@pytest.fixture
async def kept(stack: Stack, history: Sequence[Record]) -> AsyncIterator[Kept]:
    async def as_of() -> AsOf:
        return AS_OF

    schema = f"casefile_{uuid4().hex[:8]}"
    folder = Path(casefile.__path__[0]) / "migrations"
    await migrate(stack.database_url, schema, [KERNEL_MIGRATIONS, folder])
    pool = await create_pool(stack.database_url, schema, 2)
    projections: list[Projection] = [KeptRecords(PostgresCaseTables(pool, 1)), MoneyOfOrders(lambda: RULES)]
    await hear(pool, projections, history, Random(len(history)))
    yield Kept(pool, PostgresLedgerTables(pool, as_of), history)
    await pool.execute(f'DROP SCHEMA "{schema}" CASCADE')
    await pool.close()


def shown(entry: LedgerEntry) -> EntryShown:
    return entry_shown(entry._asdict())


async def all_entries(kept: Kept, wanted: EntryFilter = EntryFilter(), limit: int = 7) -> list[EntryShown]:  # noqa: B008
    found: list[EntryShown] = []
    cursor = None
    while True:
        rows = await kept.tables.entries(wanted, cursor, limit)
        found += rows.entries
        if (cursor := rows.next) is None:
            return found


async def test_what_is_kept_is_what_was_said(kept: Kept) -> None:
    expected = sorted(map(shown, kept.expected()), key=lambda one: (one.booked_at, one.entry_id))
    assert expected
    assert await all_entries(kept) == expected
    _check_movements(kept, await kept.pool.fetch("SELECT * FROM movement"))
    await _check_lists(kept, expected)
    await _check_sums(kept, expected)


def _check_movements(kept: Kept, rows: Sequence[asyncpg.Record]) -> None:
    by_order = defaultdict(list)
    for record in filter(concerns_money, kept.records):
        by_order[(record.key or b"").decode()].append(record)
    expected = {one[:3]: one for order_id, said in by_order.items() for one in books(order_id, said, RULES).movements}
    names = MoneyMovement._fields[:-1]
    assert {
        (row["order_id"], row["settlement_id"], row["leg"]): tuple(row[name] for name in names) for row in rows
    } == {place: one[:-1] for place, one in expected.items()}


async def _check_lists(kept: Kept, expected: Sequence[EntryShown]) -> None:
    middle = expected[len(expected) // 2].booked_at
    assert await all_entries(kept, EntryFilter(since=middle)) == [one for one in expected if one.booked_at >= middle]
    assert await all_entries(kept, EntryFilter(until=middle)) == [one for one in expected if one.booked_at < middle]
    for account in {expected[0].from_account, expected[-1].to_account}:
        assert await all_entries(kept, EntryFilter(account=account)) == [
            one for one in expected if account in (one.from_account, one.to_account)
        ]
    assert await all_entries(kept, EntryFilter(account="sellers")) == [
        one for one in expected if "seller:" in (one.from_account[:7], one.to_account[:7])
    ]
    order_id = expected[0].order_id
    assert await all_entries(kept, EntryFilter(order_id=order_id)) == [
        one for one in expected if one.order_id == order_id
    ]
    for one in expected:
        reference = one.provider_reference or one.payment_id or one.payment_key
        if reference:
            assert one in await all_entries(kept, EntryFilter(reference=reference), limit=100)
            assert one in await kept.tables.referred([reference, "nobody's"])
    with pytest.raises(ValueError):
        await kept.tables.entries(EntryFilter(), "WyJhIl0=", 7)


async def _check_sums(kept: Kept, expected: Sequence[EntryShown]) -> None:
    """A statement says of every day what its entries come to, and one day's closing is the next one's opening."""
    closing: dict[tuple[str, str], int] = defaultdict(int)
    days = sorted({one.booked_at.date() for one in expected})
    for day in days:
        came, left = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for one in (one for one in expected if one.booked_at.date() == day):
            came[one.currency, _class(one.to_account)] += one.amount_minor
            left[one.currency, _class(one.from_account)] += one.amount_minor
        lines = await kept.tables.statement(day)
        by_class = {(line.currency, line.account_class): line for line in lines}
        assert by_class.keys() == closing.keys() | came.keys() | left.keys()
        for place, line in by_class.items():
            assert (line.opening_minor, line.came_minor, line.left_minor) == (closing[place], came[place], left[place])
            assert line.closing_minor == line.opening_minor + line.came_minor - line.left_minor
            closing[place] = line.closing_minor
        assert sum(line.closing_minor for line in lines) == 0
    noon = datetime.combine(days[-1], datetime.min.time(), UTC) + timedelta(hours=12)
    sums = Counter[tuple[str, str]]()
    for one in (one for one in expected if one.booked_at <= noon):
        sums[one.currency, _class(one.to_account)] += one.amount_minor
        sums[one.currency, _class(one.from_account)] -= one.amount_minor
    balances = {(one.currency, one.account_class): one.balance_minor for one in await kept.tables.balances(noon)}
    assert {place: minor for place, minor in balances.items() if minor} == {
        place: minor for place, minor in sums.items() if minor
    }


def _class(account: str) -> str:
    word = account.partition(":")[0]
    return account if word == "platform" else {"buyer": "buyers", "seller": "sellers"}.get(word, word)


async def test_what_is_open_is_told_by_its_age(kept: Kept) -> None:
    begins = datetime(2031, 1, 1, tzinfo=UTC)
    await kept.pool.execute("DELETE FROM movement")
    asked = [("payout", "submitted", 0, 7), ("payout", "submitted", 9, 11), ("refund", "manual_review", 9, 13)]
    asked += [("refund", "settled", 9, 17), ("capture", "submitted", 9, 19), ("unasked", "manual_review", 40, 23)]
    for leg, stage, days, minor in asked:
        await kept.pool.execute(
            """INSERT INTO movement (order_id, settlement_id, leg, stage, amount_minor, currency, requested_at, since,
                due_by, attempts, review_says) VALUES ($1, 's1', $2, $3, $4, 'EUR', $5, $5, $5, 1, '{}')""",
            *(uuid4().hex, leg, stage, minor, begins - timedelta(days=days)),
        )
    items = await kept.tables.open_items(begins + timedelta(hours=1))
    assert [(one.leg, one.stage, one.age, one.count, one.amount_minor) for one in items] == [
        ("payout", "submitted", "under_1_day", 1, 7),
        ("payout", "submitted", "under_30_days", 1, 11),
        ("refund", "manual_review", "under_30_days", 1, 13),
        ("unasked", "manual_review", "30_days_and_more", 1, 23),
    ]
