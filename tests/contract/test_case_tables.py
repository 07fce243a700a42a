"""What the case file's tables answer: in memory and on PostgreSQL the same, in whatever order the topics were read."""

import random
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from deploy.local.stack import Stack
from deploy.stories.claims import disputed
from deploy.stories.dialogue import Scene
from schemas.instants import from_ms, to_ms
from schemas.topics import FOLLOWED
from services import casefile
from services.casefile.domain import DECIDER
from services.casefile.shown.reading import Asked, CaseFilter, OrderFilter, Rows
from services.casefile.tables.projection import KeptRecords
from services.casefile.tables.store import PostgresCaseTables
from shared.kernel.codec import Decoded, Decoder
from shared.kernel.ports import Input, Record
from shared.runtime.postgres.database import create_pool
from shared.runtime.postgres.migrate import KERNEL_MIGRATIONS, migrate
from tests.support.casefile import MemoryCaseTables, Office, open_office

OPERATOR = Asked("operator", "olga")
BATCH = 7
"""Records of a commit: so few that every order is in many."""


async def kept(pool: asyncpg.Pool, records: Iterable[Record]) -> None:
    decoder, projection = Decoder(DECIDER, lambda key: 0), KeptRecords(PostgresCaseTables(pool, 1))
    inputs: list[tuple[int, Input]] = []
    for record in records:
        found = decoder.decode(record, from_ms(record.timestamp))
        assert isinstance(found, Decoded)
        inputs.append((record.partition, found.input))
    for begin in range(0, len(inputs), BATCH):
        async with pool.acquire() as connection, connection.transaction():
            await projection.apply(connection, inputs[begin : begin + BATCH], ())


@dataclass
class Archive:
    """An office and its tables; or tables that were filled from its bus."""

    office: Office
    tables: MemoryCaseTables | PostgresCaseTables
    pool: asyncpg.Pool | None

    async def every(self, of: Any, asked: Asked, wanted: Any, limit: int) -> list[Any]:
        """A whole list, page by page."""
        rows: list[Any] = []
        cursor: str | None = None
        while True:
            page: Rows = await of(asked, wanted, cursor, limit)
            assert len(page.cases) + len(page.orders) <= limit
            assert page.next is None or page.next != cursor, "it goes on"
            rows += [*page.cases, *page.orders]
            if (cursor := page.next) is None:
                return rows


async def a_few_cases() -> Office:
    office = await open_office()
    stage = office.stage
    for number in range(2):
        await disputed(await Scene(stage, f"o{number}").shipped_order(lamp=10_00 * (number + 1)), 10_00)
    case = await Scene(stage, "judged").shipped_order(lamp=30_00)
    await disputed(case, 10_00)
    await case.seller.says("dispute.reject", dispute_id="d1")
    await case.buyer.says("dispute.escalate", dispute_id="d1")
    await case.mediator()
    for number in range(2):
        over = await Scene(stage, f"over{number}").shipped_order(lamp=10_00)
        await disputed(over, 10_00)
        await over.seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
    ended = await Scene(stage, "ended").order(lamp=5_00)
    await ended.buyer.says("order.cancel")
    await ended.ends(buyer=5_00, seller=0)
    return office


def followed(office: Office) -> list[list[Record]]:
    return [log for (topic, _), log in office.stage.world.bus.logs.items() if topic in FOLLOWED and log]


def shuffled(logs: Sequence[Sequence[Record]], seed: int) -> list[Record]:
    """Each log in its order; between logs any."""
    chance, left = random.Random(seed), [list(log) for log in logs]
    records = []
    while left := [log for log in left if log]:
        records.append(chance.choice(left).pop(0))
    return records


@pytest.fixture
async def archive(real: Stack | None) -> AsyncIterator[Archive]:
    office = await a_few_cases()
    if real is None:
        yield Archive(office, office.tables, None)
        return
    async with filled(real, shuffled(followed(office), 1)) as pool:
        yield Archive(office, PostgresCaseTables(pool, 1), pool)


class filled:  # noqa: N801 - reads as a verb
    """Tables in a schema of their own, from these records."""

    def __init__(self, stack: Stack, records: Sequence[Record]) -> None:
        self.url, self.records, self.schema = stack.database_url, records, f"casefile_{uuid4().hex[:8]}"

    async def __aenter__(self) -> asyncpg.Pool:
        await migrate(self.url, self.schema, [KERNEL_MIGRATIONS, Path(casefile.__path__[0]) / "migrations"])
        self.pool = await create_pool(self.url, self.schema, 2)
        await kept(self.pool, self.records)
        return self.pool

    async def __aexit__(self, *_: object) -> None:
        await self.pool.execute(f'DROP SCHEMA "{self.schema}" CASCADE')
        await self.pool.close()


async def people(archive: Archive) -> list[Asked]:
    """Everybody who has a part in an order, and some who have none."""
    rows = await archive.every(archive.office.tables.cases, OPERATOR, CaseFilter(), 100)
    parts: set[tuple[Any, Any]] = {
        (role, getattr(row, role)) for row in rows for role in ("buyer", "seller", "mediator")
    }
    return [OPERATOR, *(Asked(role, who) for role, who in sorted(parts, key=str) if who), Asked("buyer", "nobody")]


async def test_everybody_is_listed_what_is_his(archive: Archive) -> None:
    office = archive.office
    for asked in await people(archive):
        for limit in (1, 100):
            for wanted in (CaseFilter(), CaseFilter(open_only=False), CaseFilter(mediator="-")):
                found = await archive.every(archive.tables.cases, asked, wanted, limit)
                assert found == await archive.every(office.tables.cases, asked, wanted, 100), (asked, wanted)
            orders = await archive.every(archive.tables.orders, asked, OrderFilter(), limit)
            assert orders == await archive.every(office.tables.orders, asked, OrderFilter(), 100), asked
    assert len(await archive.every(archive.tables.orders, OPERATOR, OrderFilter(), 2)) == 6


async def test_a_list_can_be_narrowed(archive: Archive) -> None:
    soon = archive.office.stage.world.bus.now + timedelta(days=3)
    some = [
        *(CaseFilter(status=status) for status in ("processing", "awaiting_seller")),
        *(CaseFilter(waiting_for=whom) for whom in ("seller", "mediator")),
        *(CaseFilter(due_before=soon), CaseFilter(is_appeal=True), CaseFilter(claimed_from_minor=1_000)),
    ]
    counts = []
    for wanted in some:
        found = await archive.every(archive.tables.cases, OPERATOR, wanted, 2)
        assert found == await archive.every(archive.office.tables.cases, OPERATOR, wanted, 100), wanted
        counts.append(len(found))
    assert 0 < sum(counts) < 3 * len(some)


async def test_an_order_is_found_with_all_that_was_said(archive: Archive) -> None:
    for order_id in await archive.tables.order_ids(None, 10):
        found, wanted = await archive.tables.find(order_id), await archive.office.tables.find(order_id)
        assert found is not None
        assert wanted is not None
        assert [_place(one) for one in found.records] == [_place(one) for one in wanted.records]
        assert [_place(one) for one in found.commands] == [_place(one) for one in wanted.commands]
        assert [_place(one) for one in found.roster] == [_place(one) for one in wanted.roster]
        if archive.pool is not None:  # in memory the topics themselves are looked into
            assert not any(b"@" in (one.value or b"") for one in [*found.records, *found.commands])
    assert await archive.tables.find("nobody's") is None
    assert await archive.tables.find("mediators") is None, "which is no order"


async def test_order_ids_come_page_by_page(archive: Archive) -> None:
    tables = archive.tables
    every = await tables.order_ids(None, 100)
    pages = [await tables.order_ids(after, 2) for after in (None, every[1], every[3], every[5])]
    assert [[*page] for page in pages] == [every[:2], every[2:4], every[4:], []]


async def test_a_cursor_that_no_list_gave_is_refused(archive: Archive) -> None:
    for cursor in ("", "x", "W10=", "bnVsbA==", "WyJhIiwgImIiLCAiYyIsICJkIl0="):
        with pytest.raises(ValueError):
            await archive.tables.cases(OPERATOR, CaseFilter(), cursor, 10)


def _place(record: Record) -> tuple[str, int, int, Any]:
    headers = dict(record.headers)
    return record.topic, record.partition, record.offset, (headers.get("ce_id"), headers.get("ce_causationid"))


@pytest.mark.stack
@pytest.mark.parametrize("seed", range(3))
async def test_topics_are_read_in_any_order(stack: Stack, seed: int) -> None:
    office = await a_few_cases()
    async with filled(stack, shuffled(followed(office), seed)) as pool:
        archive = Archive(office, PostgresCaseTables(pool, 1), pool)
        for of, wanted in (("cases", CaseFilter(open_only=False)), ("orders", OrderFilter())):
            found = await archive.every(getattr(archive.tables, of), OPERATOR, wanted, 100)
            assert found == await archive.every(getattr(office.tables, of), OPERATOR, wanted, 100)


@pytest.mark.stack
async def test_what_nobody_can_read_is_kept_and_stops_nothing(stack: Stack) -> None:
    strange = [
        Record("order.commands", 0, 0, 1, None, None, []),
        Record("order.commands", 0, 1, 1, b"\xff\x00", b'{"email": "a@b', [("ce_id", b"\x00"), ("ce_id", b"\xff")]),
        Record("order.events", 0, 0, 1, b"o", b"{}", [("ce_id", b"a" * 9_000), ("ce_type", b"order.placed.v1")]),
        Record("order.events", 0, 1, 1, b"o", b"\xff", [("ce_type", b"order.tomorrow.v7"), ("ce_sequence", b"no")]),
        Record("dispute.events", 0, 0, 1, b"o", None, [("ce_type", b"dispute.opened.v1")]),
        Record("order.dead-letters", 0, 0, 1, b"o", b"\x00", [("x-dead-letter-reason", None)]),
    ]
    async with filled(stack, strange) as pool:
        tables = PostgresCaseTables(pool, 1)
        found = await tables.find("o")
        assert found is not None
        assert (len(found.records), len(found.dead_letters)) == (3, 1)
        assert (await tables.orders(OPERATOR, OrderFilter(), None, 10)).orders == []
        assert await pool.fetchval("SELECT count(*) FROM record") == len(strange)


@pytest.mark.stack
async def test_it_is_as_fresh_as_its_oldest_shard(stack: Stack) -> None:
    async with filled(stack, []) as pool:
        tables, now = PostgresCaseTables(pool, 2), from_ms(to_ms(datetime.now(UTC)))
        await tables.fresh({0: now})
        assert (await tables.as_of()).behind_seconds > 10**6, "of the other shard nothing is known"
        await tables.fresh({1: now - timedelta(minutes=1)})
        assert 60 <= (await tables.as_of()).behind_seconds < 10**6
        await tables.fresh({0: now - timedelta(hours=1), 1: now})
        assert (await tables.as_of()).at == now, "it does not go back"
