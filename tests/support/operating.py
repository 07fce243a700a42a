"""What operators' pages are made of, without a server: the books of all orders and what is stuck, read from the bus."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from services.casefile.ledger_reading import (
    AGE_NAMES,
    NAMED,
    Balance,
    EntryFilter,
    EntryRows,
    EntryShown,
    OpenItems,
    StatementLine,
)
from services.casefile.money import Books, books, concerns_money
from services.casefile.pages.operating import OperatorsTables
from services.casefile.shapes import AsOf, CaseRow
from services.casefile.stuck import ParkedOrder, SetAside, StuckRow, standstills
from services.casefile.stuck_store import LetterFilter, StuckRows
from shared.kernel.policies import Policies
from shared.kernel.ports import Record
from tests.support.casefile import Office


@dataclass
class MemoryBooks:
    """`LedgerTables` and `StuckTables`, as far as pages ask."""

    office: Office

    async def as_of(self) -> AsOf:
        return await self.office.tables.as_of()

    async def entries(self, wanted: EntryFilter, cursor: str | None, limit: int) -> EntryRows:
        begins = 0 if cursor is None else int(cursor)
        found = [one for one in self._booked() if _is_wanted(one, wanted)]
        more = str(begins + limit) if len(found) > begins + limit else None
        return EntryRows(found[begins : begins + limit], more, await self.as_of())

    async def balances(self, at: datetime) -> Sequence[Balance]:
        sums = _sums(one for one in self._booked() if one.booked_at <= at)
        return [
            Balance(currency=currency, account_class=of, balance_minor=sum_) for (currency, of), sum_ in sums.items()
        ]

    async def statement(self, day: date) -> Sequence[StatementLine]:
        begins = datetime.combine(day, time(), UTC)
        opening = _sums(one for one in self._booked() if one.booked_at < begins)
        of_day = [one for one in self._booked() if begins <= one.booked_at < begins + timedelta(days=1)]
        came, left, entries = Counter[Any](), Counter[Any](), Counter[Any]()
        for one in of_day:
            came[one.currency, class_of(one.to_account)] += one.amount_minor
            left[one.currency, class_of(one.from_account)] += one.amount_minor
            entries.update({(one.currency, class_of(account)) for account in (one.to_account, one.from_account)})
        return [
            StatementLine(
                currency=key[0],
                account_class=key[1],
                opening_minor=opening[key],
                came_minor=came[key],
                left_minor=left[key],
                closing_minor=opening[key] + came[key] - left[key],
                entries=entries[key],
            )
            for key in sorted({*opening, *came, *left})
        ]

    async def open_items(self, now: datetime) -> Sequence[OpenItems]:
        return [
            OpenItems(
                currency=one.currency,
                leg=one.leg,
                stage=one.stage,
                age=AGE_NAMES[0],
                count=1,
                amount_minor=one.amount_minor,
            )
            for kept in self._books()
            for one in kept.movements
            if one.stage != "settled"
        ]

    async def referred(self, references: Sequence[str]) -> Sequence[EntryShown]:
        named = set(references)
        return [one for one in self._booked() if named & {one.provider_reference, one.payment_key, one.payment_id}]

    async def stuck(self, kind: str | None, cursor: str | None, limit: int) -> StuckRows:
        found = sorted((row for row in self._stuck() if kind in (None, row.kind)), key=lambda row: row.since)
        return StuckRows(found[:limit], None, await self.as_of())

    async def counts(self) -> dict[str, int]:
        return dict(Counter(row.kind for row in self._stuck()))

    async def letters(self, wanted: LetterFilter, limit: int) -> Sequence[SetAside]:
        return standstills(self._records()).set_aside[:limit]

    async def parked(self, service: str | None, reason: str | None, limit: int) -> Sequence[ParkedOrder]:
        return list(standstills(self._records()).parked.values())[:limit]

    async def cases_of(self, mediator: str, limit: int) -> Sequence[CaseRow]:
        return []

    def _stuck(self) -> Iterator[StuckRow]:
        for kept in self._books():
            for one in kept.movements:
                if one.review_since is not None:
                    about = {"settlement_id": one.settlement_id, "leg": one.leg, **one.review_says}
                    yield StuckRow(
                        "manual_review", one.order_id, one.review_since, one.leg, one.review_reason or "", about
                    )
        for seat in standstills(self._records()).seats.values():
            if seat is not None:
                about = {"dispute_id": seat.dispute_id, "round": seat.round, "mediator_id": seat.mediator_id}
                kind = "overdue_mediation" if seat.is_overdue else "empty_seat"
                yield StuckRow(kind, seat.order_id, seat.since, seat.dispute_id, kind, about)

    def _records(self) -> list[Record]:
        return [record for log in self.office.tables.bus.logs.values() for record in log]

    def _books(self) -> Iterator[Books]:
        policies: Policies = self.office.desk.policies()
        said = defaultdict(list)
        for record in self._records():
            if concerns_money(record):
                said[(record.key or b"").decode()].append(record)
        for order_id, records in said.items():
            yield books(order_id, records, policies)

    def _booked(self) -> list[EntryShown]:
        found = [EntryShown(**one._asdict()) for kept in self._books() for one in kept.entries]
        return sorted(found, key=lambda one: (one.booked_at, one.entry_id))


def operators_tables(office: Office) -> OperatorsTables:
    kept = MemoryBooks(office)
    return OperatorsTables(kept, kept)


def class_of(account: str) -> str:
    return NAMED.get(account.partition(":")[0], account)


def _is_wanted(one: EntryShown, wanted: EntryFilter) -> bool:
    accounts = {one.from_account, one.to_account}
    return (
        (wanted.since is None or one.booked_at >= wanted.since)
        and (wanted.until is None or one.booked_at < wanted.until)
        and (wanted.account is None or wanted.account in accounts | {class_of(account) for account in accounts})
    )


def _sums(entries: Iterable[EntryShown]) -> Counter[tuple[str, str]]:
    sums: Counter[tuple[str, str]] = Counter()
    for one in entries:
        sums[one.currency, class_of(one.to_account)] += one.amount_minor
        sums[one.currency, class_of(one.from_account)] -= one.amount_minor
    return sums
