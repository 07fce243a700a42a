"""The money of one order as the refund service holds it: where it came from, every movement since, and how its events
make it so."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from schemas.common import PolicyRef
from schemas.example import POLICY, fields
from schemas.payments.shapes import Leg
from schemas.refund.events import (
    DoneEvent,
    PendingEvent,
    RefundEvent,
    RefundFailed,
    RefundOverdue,
    RefundRequested,
    RefundSubmitted,
    ReviewNeeded,
)
from schemas.refund.shapes import ReviewReason, Stage
from schemas.wire import Currency, Event, Id, Minor, PositiveMinor, PrivateEvent, Shape
from services.refund.policy import ATTEMPTS_MAX
from shared.kernel.decider import Deadline


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


class Commission(Shape):
    """What a settlement gives to the platform, and what it gives back (R69). No provider is called: it stays where it
    is."""

    settlement_id: Id
    taken_minor: Minor
    returned_minor: Minor


class CommissionTaken(PrivateEvent):
    """Part of a release is the platform's (R69): an entry of the ledger."""

    type = "refund.commission_taken.v1"
    example = fields(settlement_id="A-1001.s1", currency="EUR", amount_minor=35)

    settlement_id: Id
    currency: Currency
    amount_minor: PositiveMinor


class CommissionReturned(PrivateEvent):
    """Money that was released is refunded, and with it the platform's part of it (R69): an entry of the ledger."""

    type = "refund.commission_returned.v1"
    example = fields(settlement_id="A-1001.s2", currency="EUR", amount_minor=30)

    settlement_id: Id
    currency: Currency
    amount_minor: PositiveMinor


class MovementsNoted(PrivateEvent):
    """Movements of an order that has not been heard to be placed: they wait for that."""

    type = "refund.movements_noted.v1"
    example = fields(movements=[{"settlement_id": "A-1001.s1", "leg": "refund", "amount_minor": 900}], commissions=[])

    movements: tuple[Movement, ...]
    commissions: tuple[Commission, ...] = ()


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
class UnplacedOrder:
    """Not heard to be placed; waits for the order service."""

    movements: tuple[Movement, ...]
    commissions: tuple[Commission, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """`legs` by payment key; `commissions`: the settlements whose commission is booked."""

    capture: Captured
    legs: Mapping[str, Pending | Done]
    commissions: frozenset[str] = frozenset()


State = UnplacedOrder | Order
RefundDeadline = Literal["refund_retry", "refund_due"]
"""Those of one instant happen in this order (docs/RULES.md, timer service)."""


def evolve(state: State | None, event: Event) -> State | None:
    match state, event:
        case UnplacedOrder(), MovementsNoted():
            return UnplacedOrder(state.movements + event.movements, state.commissions + event.commissions)
        case None, MovementsNoted():
            return UnplacedOrder(event.movements, event.commissions)
        case _, Captured():
            return Order(event, {})
        case Order(), CommissionTaken() | CommissionReturned():
            return replace(state, commissions=state.commissions | {event.settlement_id})
        case Order(), RefundEvent():
            key = payment_key(event.settlement_id, event.leg)
            leg = _evolve_leg(state.legs.get(key), event)
            return replace(state, legs={**state.legs, key: leg}) if leg else state
    return state


def _evolve_leg(leg: Pending | Done | None, event: RefundEvent) -> Pending | Done | None:
    match leg, event:
        case None, RefundRequested():
            movement = Movement(settlement_id=event.settlement_id, leg=event.leg, amount_minor=event.amount_minor)
            return Pending(movement, event.due_by, event.due_by, 0, ATTEMPTS_MAX, Requested())
        case Pending(), RefundSubmitted():
            at = Called(event.asking, event.answer_by)
            return replace(leg, attempt=event.attempt, attempts_max=event.attempts_max, at=at)
        case Pending(), RefundFailed():
            return replace(leg, at=Failed(event.retry_at))
        case Pending(), RefundOverdue():
            return replace(leg, overdue_at=event.repeats_at)
        case Pending(), ReviewNeeded():
            return replace(leg, at=InReview(event.reason))
        case Pending(), DoneEvent():
            return Done(leg.movement, leg.due_by, event.provider_reference)
        case Done(), ReviewNeeded():
            return replace(leg, settled_again=True)
    return leg


def deadlines(state: State | None) -> Iterable[Deadline[RefundDeadline]]:
    """Every pending leg is due; one in the provider's hands or backing off is looked at again (§8)."""
    if not isinstance(state, Order):
        return
    for key, leg in state.legs.items():
        if isinstance(leg, Pending):
            yield Deadline("refund_due", key, leg.overdue_at)
            match leg.at:
                case Called(answer_by=instant) | Failed(retry_at=datetime() as instant):
                    yield Deadline("refund_retry", key, instant)


def stage(leg: Pending | Done) -> Stage:
    """What a person is told (R52)."""
    if isinstance(leg, Done):
        return "settled"
    match leg.at:
        case Requested():
            return "requested"
        case Called(asking=True):
            return "processing"
        case Called():
            return "submitted" if leg.attempt == 1 else "retrying"
        case Failed():
            return "failed"
        case InReview():
            return "manual_review"


def stamp(state: State | None, event: Event) -> Mapping[str, Any]:
    if not isinstance(state, Order) or not isinstance(event, RefundEvent):
        return {}
    leg = state.legs[payment_key(event.settlement_id, event.leg)]
    stamped: dict[str, Any] = {"currency": state.capture.currency, "stage": stage(leg)}
    if isinstance(event, PendingEvent):
        stamped |= {"amount_minor": leg.movement.amount_minor, "due_by": leg.due_by}
    return stamped
