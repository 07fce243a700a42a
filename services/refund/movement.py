"""The money of one order as the refund service holds it: where it came from, and every movement since."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas.common import PolicyRef
from schemas.example import POLICY, fields
from schemas.payments.shapes import Leg
from schemas.refund.shapes import ReviewReason
from schemas.wire import Currency, Id, PositiveMinor, PrivateEvent, Shape


class Movement(Shape):
    """One leg of a settlement: so much money to or from one party."""

    settlement_id: Id
    leg: Leg
    amount_minor: PositiveMinor

    @property
    def payment_key(self) -> str:
        return payment_key(self.settlement_id, self.leg)


def payment_key(settlement_id: str, leg: str) -> str:
    """The name of a movement at the provider, for ever (N7)."""
    return f"{settlement_id}/{leg}"


class Captured(PrivateEvent):
    """The buyer's money is in escrow, as the order service told: the first entry of the order's ledger."""

    type = "refund.captured.v1"
    example = fields(
        payment_id="pay-7f3a", amount_minor=1_250, currency="EUR", buyer_id="bea", seller_id="sam", policy=POLICY
    )

    payment_id: Id
    amount_minor: PositiveMinor
    currency: Currency
    buyer_id: Id
    seller_id: Id
    policy: PolicyRef


class MovementsNoted(PrivateEvent):
    """Movements of an order that has not been heard to be placed: they wait for that."""

    type = "refund.movements_noted.v1"
    example = fields(movements=[{"settlement_id": "A-1001.s1", "leg": "refund", "amount_minor": 900}])

    movements: tuple[Movement, ...]


@dataclass(frozen=True, slots=True)
class Requested:
    """Decided on; the provider is called in the same breath."""


@dataclass(frozen=True, slots=True)
class Called:
    """The provider has the movement or, `asking`, the question what became of it."""

    asking: bool
    answer_by: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """The provider said no. `retry_at` None: a person is called in the same breath."""

    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class InReview:
    """In the operator's queue."""

    reason: ReviewReason

    @property
    def outcome_unknown(self) -> bool:
        return self.reason in ("no_answer", "mismatch")


@dataclass(frozen=True, slots=True)
class Pending:
    """A movement until it is done."""

    movement: Movement
    due_by: datetime
    overdue_at: datetime
    """When it is called overdue, the first time or again (R53)."""
    attempt: int
    attempts_max: int
    at: Requested | Called | Failed | InReview


@dataclass(frozen=True, slots=True)
class Done:
    """The money has moved; nothing is ever sent for this key again."""

    movement: Movement
    due_by: datetime
    provider_reference: str
    settled_again: bool = False
    """The provider said so once more, differently, and an operator was told."""


@dataclass(frozen=True, slots=True)
class Unplaced:
    """Not heard to be placed; waits for the order service."""

    movements: tuple[Movement, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """`legs` by payment key."""

    capture: Captured
    legs: Mapping[str, Pending | Done]
