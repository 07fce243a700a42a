"""What operators ask of the case file, without a server: the books, what is stuck, and what they did about it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from fastapi import APIRouter

from services.casefile.books.ledger_reading import (
    NAMED,
    Balance,
    EntryFilter,
    EntryRows,
    EntryShown,
    OpenItems,
    StatementLine,
)
from services.casefile.books.money import books, concerns_money
from services.casefile.operating.own_store import Audited, Note
from services.casefile.operating.planning import Planner
from services.casefile.operating.stuck import ParkedOrder, SetAside, StuckRow, standstills
from services.casefile.operating.stuck_api import OperatorsDesk
from services.casefile.operating.stuck_store import LetterFilter, StuckRows
from services.casefile.routes import for_operators
from services.casefile.shown.shapes import AsOf, CaseRow
from shared.kernel.policies import Policies
from shared.kernel.ports import Outage, Record
from shared.runtime.memory import START
from tests.support.casefile import MemoryCaseTables, Office


@dataclass
class MemoryLedgerTables:
    """The books of all orders on a bus."""

    tables: MemoryCaseTables
    policies: Policies

    async def as_of(self) -> AsOf:
        return await self.tables.as_of()

    def all(self) -> list[EntryShown]:
        said: Mapping[bytes, list[Record]] = defaultdict(list)
        for log in self.tables.bus.logs.values():
            for record in filter(concerns_money, log):
                said[record.key or b""].append(record)
        found = (one for key, some in said.items() for one in books(key.decode(), some, self.policies).entries)
        return sorted((EntryShown(**one._asdict()) for one in found), key=lambda one: (one.booked_at, one.entry_id))

    async def entries(self, wanted: EntryFilter, cursor: str | None, limit: int) -> EntryRows:
        as_of = await self.as_of()
        found = [one for one in self.all() if _is_wanted(one, wanted)]
        begins = 0 if cursor is None else int(cursor)
        more = str(begins + limit) if len(found) > begins + limit else None
        return EntryRows(found[begins : begins + limit], more, as_of)

    async def balances(self, at: datetime) -> Sequence[Balance]:
        sums: dict[tuple[str, str], int] = defaultdict(int)
        for one in (one for one in self.all() if one.booked_at <= at):
            sums[one.currency, class_of(one.to_account)] += one.amount_minor
            sums[one.currency, class_of(one.from_account)] -= one.amount_minor
        return [Balance(currency=key[0], account_class=key[1], balance_minor=sums[key]) for key in sorted(sums)]

    async def statement(self, day: date) -> Sequence[StatementLine]:
        lines: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for one in (one for one in self.all() if one.booked_at.date() <= day):
            for account, column in ((one.to_account, 1), (one.from_account, 2)):
                line = lines[one.currency, class_of(account)]
                if one.booked_at.date() == day:
                    line[column] += one.amount_minor
                    line[3] += 1
                else:
                    line[0] += one.amount_minor * (1 if column == 1 else -1)
        return [
            StatementLine(
                currency=currency,
                account_class=class_,
                opening_minor=opening,
                came_minor=came,
                left_minor=left,
                closing_minor=opening + came - left,
                entries=entries,
            )
            for (currency, class_), (opening, came, left, entries) in sorted(lines.items())
        ]

    async def open_items(self, now: datetime) -> Sequence[OpenItems]:
        return []

    async def referred(self, references: Sequence[str]) -> Sequence[EntryShown]:
        known = set(references)
        return [one for one in self.all() if known & {one.provider_reference, one.payment_key, one.payment_id}]


def class_of(account: str) -> str:
    return NAMED.get(account.partition(":")[0], account)


def _is_wanted(one: EntryShown, wanted: EntryFilter) -> bool:
    accounts = {one.from_account, one.to_account}
    return (
        (wanted.since is None or one.booked_at >= wanted.since)
        and (wanted.until is None or one.booked_at < wanted.until)
        and (wanted.account is None or wanted.account in accounts | set(map(class_of, accounts)))
        and wanted.order_id in (None, one.order_id)
        and wanted.reference in (None, one.provider_reference, one.payment_key, one.payment_id)
    )


@dataclass
class MemoryStuckTables:
    """What stands still on a bus, as far as records alone tell it; `rows`: what else a test has put there."""

    tables: MemoryCaseTables
    rows: list[StuckRow] = field(default_factory=list)
    cases: list[CaseRow] = field(default_factory=list)
    done: set[tuple[str, int, int]] = field(default_factory=set)

    async def as_of(self) -> AsOf:
        return await self.tables.as_of()

    async def stuck(self, kind: str | None, cursor: str | None, limit: int) -> StuckRows:
        as_of = await self.as_of()
        found = [one for one in self.rows if kind in (None, one.kind)]
        begins = 0 if cursor is None else int(cursor)
        more = str(begins + limit) if len(found) > begins + limit else None
        return StuckRows(found[begins : begins + limit], more, as_of)

    async def counts(self) -> dict[str, int]:
        return {kind: sum(one.kind == kind for one in self.rows) for kind in {one.kind for one in self.rows}}

    async def letters(self, wanted: LetterFilter, limit: int) -> Sequence[SetAside]:
        found = standstills(record for log in self.tables.bus.logs.values() for record in log).set_aside
        return [
            one
            for one in found
            if one.code != "parked"
            and one[:3] not in self.done
            and wanted.topic in (None, one.topic)
            and wanted.code in (None, one.code)
            and wanted.id in (None, one.id)
            and (wanted.since is None or one.at >= wanted.since)
        ][:limit]

    async def parked(self, service: str | None, reason: str | None, limit: int) -> Sequence[ParkedOrder]:
        return []

    async def cases_of(self, mediator: str, limit: int) -> Sequence[CaseRow]:
        return [one for one in self.cases if one.mediator == mediator][:limit]


@dataclass
class MemoryOwnTables:
    """What operators did and noted."""

    stuck: MemoryStuckTables
    acts: list[Audited] = field(default_factory=list)
    noted: dict[tuple[str, str], list[Note]] = field(default_factory=lambda: defaultdict(list))
    is_away: bool = False

    async def audited(self, operator: str, what: str, why: str, order_id: str | None, about: Mapping[str, Any]) -> int:
        if self.is_away:
            raise Outage("the database is away")
        self.acts.append(Audited(len(self.acts) + 1, START, operator, what, why, order_id, about))
        return len(self.acts)

    async def audit(self, order_id: str | None, before: int | None, limit: int) -> Sequence[Audited]:
        found = [one for one in reversed(self.acts) if before is None or one.number < before]
        return [one for one in found if order_id in (None, one.order_id)][:limit]

    async def deal_with(self, letter: SetAside, how: str, audit: int) -> None:
        self.stuck.done.add(letter[:3])

    async def note(self, order_id: str, dispute_id: str, role: str, person: str, text: str) -> Note | None:
        kept = self.noted[order_id, dispute_id]
        kept.append(Note(len(kept) + 1, datetime.now(UTC).replace(microsecond=0), role, person, text))
        return kept[-1]

    async def notes(self, order_id: str, dispute_id: str) -> Sequence[Note]:
        return self.noted[order_id, dispute_id]


@dataclass(frozen=True)
class MemoryRawBus:
    tables: MemoryCaseTables

    async def read(self, places: Sequence[tuple[str, int, int]]) -> Mapping[tuple[str, int, int], Record]:
        return {
            (one.topic, one.partition, one.offset): one
            for log in self.tables.bus.logs.values()
            for one in log
            if (one.topic, one.partition, one.offset) in places
        }

    async def write(self, record: Record) -> None:
        self.tables.bus.append(record.topic, record.key, record.value, record.headers, record.partition)


def operators_routes(office: Office) -> list[APIRouter]:
    """What operators ask of an office, for `application`."""
    stuck = MemoryStuckTables(office.tables)
    own = MemoryOwnTables(stuck)
    planner = Planner(stuck, own, office.sender, MemoryRawBus(office.tables))
    ledger = MemoryLedgerTables(office.tables, office.stage.world.policies)
    return for_operators(ledger, OperatorsDesk(stuck, own, office.tables, planner, {}), office.desk)
