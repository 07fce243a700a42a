"""What is asked of the books of all orders, and in which shape it is answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from pydantic import Field

from schemas.instants import Instant
from schemas.wire import Currency
from services.casefile.shown.shapes import AsOf, Shown
from services.refund.ledger import COMMISSION, EXCESS

CLASSES = ("buyers", "sellers", "escrow", COMMISSION, EXCESS)
"""Of accounts: all buyers', all sellers', the escrow of all orders, and the platform's own two."""
NAMED: Mapping[str, str] = {"buyer": "buyers", "seller": "sellers", "escrow": "escrow"}
"""How the first word of an account names its class."""
AGES = (timedelta(days=1), timedelta(days=3), timedelta(days=7), timedelta(days=30))
"""Bounds of the ages of what is open …"""
AGE_NAMES = ("under_1_day", "under_3_days", "under_7_days", "under_30_days", "30_days_and_more")
"""… and what is between them."""


class EntryShown(Shown):
    """An entry of the books: `amount_minor` left one account and arrived at the other (R22)."""

    entry_id: str = Field(description="the event's that it follows from")
    order_id: str
    event_type: str
    booked_at: Instant
    currency: Currency
    from_account: str = Field(description="`buyer:<id>`, `seller:<id>`, `escrow:<order>`, `platform:…`")
    to_account: str
    amount_minor: int
    settlement_id: str | None = None
    leg: str | None = None
    payment_id: str | None = Field(default=None, description="the buyer's payment that it came by, or went back over")
    payment_key: str | None = Field(default=None, description="the movement, as the payment provider knows it")
    provider_reference: str | None = None


class Balance(Shown):
    """What all accounts of a class hold in one currency; below 0: more has left them than came. All classes of a
    currency sum to zero."""

    currency: Currency
    account_class: str = Field(description="buyers, sellers, escrow, platform:commission, platform:excess")
    balance_minor: int


class BalancesShown(Shown):
    """Of all classes that ever held anything."""

    at: Instant
    balances: list[Balance]
    as_of: AsOf


class StatementLine(Shown):
    """One class of accounts in one currency on one day: opening + came - left = closing."""

    currency: Currency
    account_class: str
    opening_minor: int
    came_minor: int
    left_minor: int
    closing_minor: int
    entries: int


class OpenItems(Shown):
    """What is asked for and has not moved, of one currency, leg, stage and age. Of stage `manual_review` a person must
    look, which leg `unasked` is money of that nobody asked for."""

    currency: Currency
    leg: str
    stage: str
    age: str = Field(description="since it was asked for: under_1_day, under_3_days, …, 30_days_and_more")
    count: int
    amount_minor: int


class StatementShown(Shown):
    """A day of the books, from 00:00 to 24:00 UTC."""

    day: str = Field(description="YYYY-MM-DD, UTC")
    is_over: bool = Field(description="no entry of it can follow; else it may still grow")
    lines: list[StatementLine]
    open_items: list[OpenItems] = Field(description="as they stand now, by age")
    as_of: AsOf


@dataclass(frozen=True)
class EntryFilter:
    """None: all. `account`: one account, or one of CLASSES. `until`: not itself."""

    since: datetime | None = None
    until: datetime | None = None
    account: str | None = None
    order_id: str | None = None
    reference: str | None = None
    """The provider's reference, the payment key or the buyer's payment."""


@dataclass(frozen=True)
class EntryRows:
    """In the order in which they were booked; `next`: cursor of those that follow, None: there are none."""

    entries: Sequence[EntryShown]
    next: str | None
    as_of: AsOf


class LedgerTables(Protocol):
    """Read only. Raises Outage."""

    async def as_of(self) -> AsOf: ...

    async def entries(self, wanted: EntryFilter, cursor: str | None, limit: int) -> EntryRows:
        """Raises ValueError for a cursor that no list gave."""
        ...

    async def balances(self, at: datetime) -> Sequence[Balance]:
        """Of what was booked up to and with this instant."""
        ...

    async def statement(self, day: date) -> Sequence[StatementLine]:
        """Of every class that held anything before or then."""
        ...

    async def open_items(self, now: datetime) -> Sequence[OpenItems]:
        """By currency, leg, stage and age."""
        ...

    async def referred(self, references: Sequence[str]) -> Sequence[EntryShown]:
        """All whose provider's reference, payment key or payment is one of these."""
        ...


def entry_shown(row: Mapping[str, Any]) -> EntryShown:
    return EntryShown(**dict(row))
