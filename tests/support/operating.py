"""What operators' pages are made of, without a server: beside the dead letters what money and seats wait for."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from services.casefile.books.ledger_reading import AGE_NAMES, OpenItems
from services.casefile.books.money import Books, books, concerns_money
from services.casefile.operating.planning import Planner
from services.casefile.operating.stuck import StuckRow, standstills
from services.casefile.operating.stuck_api import OperatorsDesk
from services.casefile.operating.stuck_store import StuckRows
from services.casefile.pages.operating import OperatorsTables
from shared.kernel.ports import Record
from tests.support.casefile import Office
from tests.support.operators import MemoryLedgerTables, MemoryOwnTables, MemoryRawBus, MemoryStuckTables


class OpenBooks(MemoryLedgerTables):
    """With what is open, all of it young."""

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
            for kept in _books(self)
            for one in kept.movements
            if one.stage != "settled"
        ]


class AllStandstills(MemoryStuckTables):
    """With money that waits for a person, and cases without a mediator."""

    def __init__(self, ledger: MemoryLedgerTables) -> None:
        super().__init__(ledger.tables)
        self.ledger = ledger

    async def stuck(self, kind: str | None, cursor: str | None, limit: int) -> StuckRows:
        found = sorted((row for row in self._waiting() if kind in (None, row.kind)), key=lambda row: row.since)
        return StuckRows(found[:limit], None, await self.as_of())

    async def counts(self) -> dict[str, int]:
        return dict(Counter(row.kind for row in self._waiting()))

    def _waiting(self) -> Iterator[StuckRow]:
        for kept in _books(self.ledger):
            for one in kept.movements:
                if one.review_since is not None:
                    about = {"settlement_id": one.settlement_id, "leg": one.leg, **one.review_says}
                    reason = one.review_reason or ""
                    yield StuckRow("manual_review", one.order_id, one.review_since, one.leg, reason, about)
        said = standstills(record for log in self.tables.bus.logs.values() for record in log)
        for seat in filter(None, said.seats.values()):
            about = {"dispute_id": seat.dispute_id, "round": seat.round, "mediator_id": seat.mediator_id}
            kind = "overdue_mediation" if seat.is_overdue else "empty_seat"
            yield StuckRow(kind, seat.order_id, seat.since, seat.dispute_id, kind, about)


def _books(ledger: MemoryLedgerTables) -> Iterator[Books]:
    said: Mapping[bytes, list[Record]] = defaultdict(list)
    for log in ledger.tables.bus.logs.values():
        for record in filter(concerns_money, log):
            said[record.key or b""].append(record)
    return (books(key.decode(), records, ledger.policies) for key, records in said.items())


def operators_tables(office: Office) -> OperatorsTables:
    ledger = OpenBooks(office.tables, office.stage.world.policies)
    stuck = AllStandstills(ledger)
    own = MemoryOwnTables(stuck)
    planner = Planner(stuck, own, office.sender, MemoryRawBus(office.tables))
    return OperatorsTables(OperatorsDesk(stuck, own, office.tables, planner, {}), ledger)
