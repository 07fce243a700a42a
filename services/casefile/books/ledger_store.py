"""What is asked of the books of all orders, in PostgreSQL."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

import asyncpg

from services.casefile.books.ledger_reading import (
    AGE_NAMES,
    AGES,
    CLASSES,
    NAMED,
    Balance,
    EntryFilter,
    EntryRows,
    EntryShown,
    OpenItems,
    StatementLine,
    entry_shown,
)
from services.casefile.books.money import LedgerEntry
from services.casefile.shown.shapes import AsOf
from services.casefile.tables.cursors import cursor_at, opened
from shared.runtime.postgres.database import outage

_ENTRY = ", ".join(LedgerEntry._fields)
REFERRED_MAX = 100_000
"""Entries that one bank's file may speak of."""
BY_DAY = """
SELECT currency, account_class,
    coalesce(sum(came_minor - left_minor) FILTER (WHERE day < $1), 0)::bigint AS opening_minor,
    coalesce(sum(came_minor) FILTER (WHERE day = $1), 0)::bigint AS came_minor,
    coalesce(sum(left_minor) FILTER (WHERE day = $1), 0)::bigint AS left_minor,
    coalesce(sum(entries) FILTER (WHERE day = $1), 0)::bigint AS entries
FROM ledger_day WHERE day <= $1 GROUP BY currency, account_class
"""
OF_A_DAY_UNTIL = """
SELECT currency, account, sum(minor)::bigint FROM ledger_entry CROSS JOIN LATERAL (
    VALUES (to_account, amount_minor), (from_account, -amount_minor)
) AS posting (account, minor)
WHERE booked_at >= $1 AND booked_at <= $2 GROUP BY currency, account
"""
OPEN = """
SELECT currency, leg, stage, width_bucket(extract(epoch FROM $1 - requested_at)::float8, $2::float8[]) AS age,
    count(*) AS count, sum(amount_minor)::bigint AS amount_minor
FROM movement WHERE stage <> 'settled' AND (leg <> 'capture' OR stage = 'manual_review')
GROUP BY currency, leg, stage, age ORDER BY currency, leg, stage, age
"""
REFERRED = f"""
SELECT {_ENTRY} FROM ledger_entry WHERE provider_reference = ANY ($1::text[]) OR payment_key = ANY ($1::text[])
    OR payment_id = ANY ($1::text[])
ORDER BY booked_at, entry_id LIMIT {REFERRED_MAX}
"""
FIRST_WORDS = {class_: word for word, class_ in NAMED.items()}


class PostgresLedgerTables:
    """`LedgerTables` of ledger_reading.py. `as_of`: how far the topics are read."""

    def __init__(self, pool: asyncpg.Pool, as_of: Callable[[], Awaitable[AsOf]]) -> None:
        self.pool, self._as_of = pool, as_of

    async def as_of(self) -> AsOf:
        return await self._as_of()

    async def entries(self, wanted: EntryFilter, cursor: str | None, limit: int) -> EntryRows:
        conditions, values = _asked(wanted)
        if cursor is not None:
            at, (entry_id,) = opened(cursor, 1)
            values += [at, entry_id]
            conditions.append(f"(booked_at, entry_id) > (${len(values) - 1}, ${len(values)})")
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        query = f"SELECT {_ENTRY} FROM ledger_entry {where} ORDER BY booked_at, entry_id LIMIT {limit + 1:d}"
        with outage():
            found = [entry_shown(row) for row in await self.pool.fetch(query, *values)]
        rows, more = found[:limit], len(found) > limit
        ends = cursor_at(rows[-1].booked_at, rows[-1].entry_id) if more else None
        return EntryRows(rows, ends, await self.as_of())

    async def balances(self, at: datetime) -> Sequence[Balance]:
        begins = datetime.combine(at.astimezone(UTC).date(), time(), UTC)
        with outage():
            before = await self.pool.fetch(BY_DAY, begins.date())
            during = await self.pool.fetch(OF_A_DAY_UNTIL, begins, at)
        sums: dict[tuple[str, str], int] = defaultdict(int)
        for row in before:
            sums[row["currency"], row["account_class"]] += row["opening_minor"]
        for currency, account, minor in during:
            sums[currency, NAMED.get(account.partition(":")[0], account)] += minor
        return [
            Balance(currency=currency, account_class=class_, balance_minor=minor)
            for (currency, class_), minor in sorted(sums.items(), key=_in_order)
        ]

    async def statement(self, day: date) -> Sequence[StatementLine]:
        with outage():
            rows = await self.pool.fetch(BY_DAY, day)
        lines = {(row["currency"], row["account_class"]): _line(row) for row in rows}
        return [line for _, line in sorted(lines.items(), key=_in_order)]

    async def open_items(self, now: datetime) -> Sequence[OpenItems]:
        with outage():
            rows = await self.pool.fetch(OPEN, now, [bound.total_seconds() for bound in AGES])
        return [OpenItems(**dict(row) | {"age": AGE_NAMES[row["age"]]}) for row in rows]

    async def referred(self, references: Sequence[str]) -> Sequence[EntryShown]:
        with outage():
            return [entry_shown(row) for row in await self.pool.fetch(REFERRED, references)]


def _asked(wanted: EntryFilter) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []

    def that(condition: str, value: Any) -> None:
        values.append(value)
        conditions.append(condition.format(f"${len(values)}"))

    if wanted.since is not None:
        that("booked_at >= {0}", wanted.since)
    if wanted.until is not None:
        that("booked_at < {0}", wanted.until)
    if wanted.order_id is not None:
        that("order_id = {0}", wanted.order_id)
    if wanted.account in FIRST_WORDS:
        that("(from_account LIKE {0} OR to_account LIKE {0})", f"{FIRST_WORDS[wanted.account]}:%")
    elif wanted.account is not None:
        that("(from_account = {0} OR to_account = {0})", wanted.account)
    if wanted.reference is not None:
        that("(provider_reference = {0} OR payment_key = {0} OR payment_id = {0})", wanted.reference)
    return conditions, values


def _line(row: Mapping[str, Any]) -> StatementLine:
    closing_minor = row["opening_minor"] + row["came_minor"] - row["left_minor"]
    return StatementLine(**dict(row), closing_minor=closing_minor)


def _in_order(one: tuple[tuple[str, str], Any]) -> tuple[str, int]:
    currency, class_ = one[0]
    return currency, CLASSES.index(class_) if class_ in CLASSES else len(CLASSES)
