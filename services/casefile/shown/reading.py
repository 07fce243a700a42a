"""What is asked of the case file's tables: the records of an order as the topics have them, and lists."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from schemas.visibility import Viewer
from services.casefile.shown.shapes import AsOf, CaseRow, OrderRow
from shared.kernel.ports import Record


@dataclass(frozen=True)
class Found:
    """All that was said of an order, of which everything that is shown of it follows."""

    order_id: str
    records: Sequence[Record]
    """Of its event topics, of payments.events and of mediation.roster, in order (`in_order`), each once."""
    roster: Sequence[Record]
    """Of the mediators' own stream, from its last snapshot on, in order."""
    commands: Sequence[Record]
    """That were sent about it, as they came, but for the addresses in them, which are left out (R74); oldest first.
    Those of before the topics' retention may be missing."""
    as_of: AsOf
    dead_letters: Sequence[Record] = ()
    """Of its commands: headers alone."""


@dataclass(frozen=True)
class Asked:
    """Who asks: nobody is shown another one's orders, whatever he filters by."""

    role: Viewer
    id: str


@dataclass(frozen=True)
class CaseFilter:
    """None: all."""

    mediator: str | None = None
    """His id; `-`: cases whose seat is empty."""
    status: str | None = None
    waiting_for: str | None = None
    due_before: datetime | None = None
    is_appeal: bool | None = None
    claimed_from_minor: int | None = None
    open_only: bool = True


@dataclass(frozen=True)
class OrderFilter:
    """None: all."""

    buyer: str | None = None
    seller: str | None = None
    status: str | None = None


@dataclass(frozen=True)
class Rows:
    """A page of a list. `cases` come by `due_at` (none last), then ids; `orders` newest first."""

    cases: Sequence[CaseRow] = ()
    orders: Sequence[OrderRow] = ()
    next: str | None = None
    as_of: AsOf = field(kw_only=True)


class CaseTables(Protocol):
    """Read only. Raises Outage."""

    async def as_of(self) -> AsOf: ...

    async def find(self, order_id: str) -> Found | None:
        """None: nothing was ever said of such an order."""
        ...

    async def cases(self, asked: Asked, wanted: CaseFilter, cursor: str | None, limit: int) -> Rows:
        """Of his own cases: a party's orders, those that a mediator has or had, an operator's all. Status words are the
        services' own here. Raises ValueError for a cursor that no list gave."""
        ...

    async def orders(self, asked: Asked, wanted: OrderFilter, cursor: str | None, limit: int) -> Rows: ...

    async def order_ids(self, after: str | None, limit: int, placed_from: datetime | None = None) -> Sequence[str]:
        """Of all recorded orders, in order of their ids."""
        ...
