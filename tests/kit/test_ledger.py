"""The database itself keeps the ledger: balanced, never changed, never posted twice (R22)."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from schemas.common import PolicyRef
from schemas.refund.events import (
    ChargedBack,
    ExcessReturned,
    MovedTooMuch,
    PaidOut,
    RefundCaptured,
    RefundFailed,
    RefundSettled,
)
from schemas.wire import Event
from services import refund
from services.refund.movement import CommissionReturned, CommissionTaken
from services.refund.projection import Ledger
from services.refund.store import PostgresLedgerTable
from shared.runtime.postgres.database import connect
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from tests.kit.stored_events import NOON, stored_event

pytestmark = [pytest.mark.stack, pytest.mark.rule("R22")]

SCHEMA = "refund"
ENTRY = "INSERT INTO ledger_entry VALUES ($1, 'order-1', 'refund.settled.v1', now(), 'EUR')"
POSTING = "INSERT INTO ledger_posting (entry_id, side, account, amount_minor) VALUES"
PAIR_OF = f"WITH entry AS ({ENTRY}) {POSTING}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Any]:
    await migrate(database_url, SCHEMA, [KERNEL_MIGRATIONS, Path(refund.__path__[0]) / "migrations"])
    connection = await connect(database_url, SCHEMA, "test")
    yield connection
    await connection.close()


def captured(amount_minor: int) -> RefundCaptured:
    return RefundCaptured(
        order_id="order-1",
        payment_id="payment-1",
        amount_minor=amount_minor,
        currency="EUR",
        buyer_id="anna",
        seller_id="bruno",
        policy=PolicyRef(name="demo", version=1, hash="0" * 64),
    )


def refunded(refund_minor: int) -> RefundSettled:
    return RefundSettled(
        order_id="order-1",
        settlement_id="s1",
        currency="EUR",
        refund_minor=refund_minor,
        buyer_id="anna",
        provider_reference="reference",
    )


def to_or_from_seller(model: type[PaidOut | ChargedBack], amount_minor: int) -> Event:
    return model(
        order_id="order-1",
        settlement_id="s1",
        currency="EUR",
        amount_minor=amount_minor,
        seller_id="bruno",
        provider_reference="reference",
    )


def commission(model: type[CommissionTaken | CommissionReturned], amount_minor: int) -> Event:
    return model(order_id="order-1", settlement_id="s1", currency="EUR", amount_minor=amount_minor)


def excess(model: type[MovedTooMuch | ExcessReturned], amount_minor: int, **fields: Any) -> Event:
    return model(
        order_id="order-1",
        settlement_id="s1",
        leg="refund",
        currency="EUR",
        amount_minor=amount_minor,
        payment_key="s1/refund",
        provider_reference="reference",
        party_id="anna",
        **fields,
    )


async def write(connection: Any, events: Sequence[Event], first: int = 1) -> None:
    stored = [stored_event(event, position=position) for position, event in enumerate(events, first)]
    async with connection.transaction():
        await Ledger(PostgresLedgerTable()).apply(connection, (), stored)


async def postings(connection: Any) -> list[tuple[str, str, int]]:
    rows = await connection.fetch("SELECT entry_id, account, amount_minor FROM ledger_posting ORDER BY entry_id, side")
    return [tuple(row) for row in rows]


async def test_the_money_of_an_order_is_found_where_it_is(database: Any) -> None:
    told = [
        (captured(1000), (1000, 1000, 0, 0, 0, 0)),
        (to_or_from_seller(PaidOut, 600), (1000, 400, 0, 600, 0, 0)),
        (commission(CommissionTaken, 60), (1000, 340, 0, 600, 60, 0)),
        (refunded(900), (1000, -560, 900, 600, 60, 0)),  # before the charge-back that will fill the escrow again
        (commission(CommissionReturned, 50), (1000, -510, 900, 600, 10, 0)),
        (to_or_from_seller(ChargedBack, 510), (1000, 0, 900, 90, 10, 0)),
        (excess(MovedTooMuch, 30, note="Seen."), (1000, 0, 930, 90, 10, -30)),
        (excess(ExcessReturned, 20), (1000, 0, 910, 90, 10, -10)),
    ]
    for position, (event, where) in enumerate(told, 1):
        await write(database, [event], first=position)
        order_id, currency, captured_minor, *rest = await database.fetchrow("SELECT * FROM ledger_order")
        assert (order_id, currency, captured_minor, *rest) == ("order-1", "EUR", *where)
        assert captured_minor == sum(rest)


async def test_a_commit_of_many_entries_is_posted_whole(database: Any) -> None:
    failed = RefundFailed(
        order_id="order-1", settlement_id="s1", leg="refund", code="down", retryable=True, retry_at=NOON
    )
    await write(database, [captured(1000), failed, refunded(300)])

    assert await postings(database) == [
        ("event-1", "buyer:anna", -1000),
        ("event-1", "escrow:order-1", 1000),
        ("event-3", "escrow:order-1", -300),
        ("event-3", "buyer:anna", 300),
    ]
    entries = await database.fetch("SELECT * FROM ledger_entry ORDER BY entry_id")
    assert [tuple(row) for row in entries] == [
        ("event-1", "order-1", "refund.captured.v1", NOON, "EUR"),
        ("event-3", "order-1", "refund.settled.v1", NOON, "EUR"),
    ]


async def test_an_event_that_moves_no_money_writes_nothing(database: Any) -> None:
    failed = RefundFailed(
        order_id="order-1", settlement_id="s1", leg="refund", code="down", retryable=True, retry_at=NOON
    )
    await write(database, [failed])
    assert await postings(database) == []


async def test_an_event_is_never_posted_twice(database: Any) -> None:
    await write(database, [captured(1000)])
    with pytest.raises(asyncpg.UniqueViolationError):
        await write(database, [captured(1000)])


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        (f"{PAIR_OF} ($1, -1, 'a', -100), ($1, 1, 'b', 99)", "a sum that is not zero"),
        (f"{PAIR_OF} ($1, -1, 'a', -100)", "half a pair"),
        (f"{PAIR_OF} ($1, -1, 'a', 0), ($1, 1, 'b', 0)", "nothing moved"),
        (f"{PAIR_OF} ($1, -1, 'a', 100), ($1, 1, 'b', -100)", "sides exchanged"),
        (ENTRY, "an entry without postings"),
        (f"{POSTING} ($1, -1, 'a', -100), ($1, 1, 'b', 100)", "postings without an entry"),
    ],
)
async def test_an_entry_that_is_no_balanced_pair_is_refused(database: Any, statement: str, what: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute(statement, "entry-1")
    assert await postings(database) == [], what


async def test_one_unbalanced_entry_refuses_the_whole_statement(database: Any) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="entry-2"):
        await database.execute(
            "WITH entry AS (INSERT INTO ledger_entry"
            " SELECT id, 'order-1', 'refund.settled.v1', now(), 'EUR' FROM unnest($1::text[]) AS id)"
            f" {POSTING} ('entry-1', -1, 'a', -5), ('entry-1', 1, 'b', 5),"
            " ('entry-2', -1, 'a', -5), ('entry-2', 1, 'b', 4)",
            ["entry-1", "entry-2"],
        )
    assert await postings(database) == []


@pytest.mark.parametrize(
    "postings_added",
    ["('event-1', -1, 'a', -5), ('event-1', 1, 'b', 5)", "('event-1', 1, 'b', 5)"],
)
async def test_nothing_is_added_to_an_entry_that_stands(database: Any, postings_added: str) -> None:
    await write(database, [captured(1000)])
    with pytest.raises(asyncpg.UniqueViolationError):
        await database.execute(f"{POSTING} {postings_added}")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_posting SET amount_minor = amount_minor * 2",
        "UPDATE ledger_posting SET account = 'mine' WHERE side = 1",
        "UPDATE ledger_entry SET currency = 'JPY'",
        f"{POSTING} ('event-1', 1, 'b', 5) ON CONFLICT (entry_id, side) DO UPDATE SET account = excluded.account",
        "DELETE FROM ledger_posting",
        "DELETE FROM ledger_entry",
        "TRUNCATE ledger_posting",
        "TRUNCATE ledger_entry",
        "TRUNCATE ledger_entry, ledger_posting CASCADE",
    ],
)
async def test_what_stands_is_never_changed(database: Any, statement: str) -> None:
    await write(database, [captured(1000)])
    before = await postings(database)
    with pytest.raises(asyncpg.RestrictViolationError, match="only ever added to"):
        await database.execute(statement)
    assert await postings(database) == before
