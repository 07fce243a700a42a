"""The ledger, written in the very commit of the events it follows from (R22)."""

from collections.abc import Sequence
from typing import Any, Protocol

from schemas.instants import from_ms
from services.refund.ledger import BookedEntry, entry
from shared.kernel.ports import Input, StoredEvent


class LedgerTable(Protocol):
    """The durable side; what it adds is part of the commit that `transaction` belongs to."""

    async def add(self, transaction: Any, booked: Sequence[BookedEntry]) -> None: ...


class Ledger:
    def __init__(self, table: LedgerTable) -> None:
        self.table = table

    async def apply(self, transaction: Any, inputs: Sequence[tuple[int, Input]], events: Sequence[StoredEvent]) -> None:
        booked = [
            BookedEntry(event.id or "", event.stream_id or "", event.type, from_ms(event.time), made)
            for event in events
            if (made := entry(event.message)) is not None
        ]
        if booked:
            await self.table.add(transaction, booked)


class MemoryLedgerTable:
    def __init__(self) -> None:
        self.entries: dict[str, BookedEntry] = {}

    async def add(self, transaction: Any, booked: Sequence[BookedEntry]) -> None:
        """Raises ValueError for an entry that is there already, as the database does."""
        for one in booked:
            if one.id in self.entries:
                raise ValueError(f"the ledger has an entry {one.id}")
            self.entries[one.id] = one
