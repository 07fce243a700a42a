"""What an order is, and how its own events make it so."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from schemas.common import Party, PolicyRef
from schemas.example import fields
from schemas.order import events, shapes
from schemas.wire import Event, Id, PrivateEvent, Rejected, Repeated
from services.order import pieces
from services.order.lines import Disputed, Final, Held, Line, Released, money_of, whole
from shared.kernel.decider import Deadline

OrderDeadline = Literal[
    "payment_window", "processing_ends", "protection_reminder", "protection_ends", "processing_reminder"
]
"""Those of one instant happen in this order (docs/RULES.md, timer service)."""


class RefundCompleted(PrivateEvent):
    """The buyer has the refund of this settlement: it no longer holds up the order (R52)."""

    type = "order.refund_completed.v1"
    example = fields(settlement_id="A-1001.s1")

    settlement_id: Id


class ProcessingReminderLapsed(PrivateEvent):
    """Nobody is reminded any more of what was over when it was noticed (R68)."""

    type = "order.processing_reminder_lapsed.v1"


@dataclass(frozen=True, slots=True)
class Sale:
    """What was agreed; it never changes."""

    order_id: str
    buyer: Party
    seller: Party
    currency: str
    policy: PolicyRef
    commission_bps: int


@dataclass(frozen=True, slots=True)
class AwaitingPayment:
    """Nothing is captured yet, as far as is known (R61)."""

    sale: Sale
    lines: tuple[Line, ...]
    processing_ends_at: datetime
    payment_id: str
    payment_by: datetime


@dataclass(frozen=True, slots=True)
class AwaitingShipment:
    sale: Sale
    lines: tuple[Line, ...]
    processing_ends_at: datetime
    remind_at: datetime | None
    """None: nobody is reminded, or he was."""
    extensions: int = 0
    settlements: int = 0
    """Settlement ids given out."""
    refunding: frozenset[str] = frozenset()
    """Settlements whose refund is on its way to the buyer: of cancelled lines, or of money given back (R64)."""


@dataclass(frozen=True, slots=True)
class CancelledOrder:
    sale: Sale
    lines: tuple[Line, ...]
    processing_ends_at: datetime
    is_paid: bool = True


@dataclass(frozen=True, slots=True)
class ShippedOrder:
    """Everything after shipping: its lines and running refunds say whether it is disputed, waiting or completed."""

    sale: Sale
    lines: tuple[Line, ...]
    processing_ends_at: datetime
    shipped_at: datetime
    disputable_from: datetime
    disputable_until: datetime
    protection_ends_at: datetime
    reminder_at: datetime | None
    """None once both parties were told."""
    settlements: int = 0
    """Settlement ids given out."""
    refunding: frozenset[str] = frozenset()
    """Settlements whose refund is on its way to the buyer (R52)."""
    disputes: frozenset[str] = frozenset()
    """Every dispute its lines were ever frozen for."""
    releases: Mapping[str, int] = field(default_factory=dict)
    """Settlement id of a release whose lines may still be disputed -> what of it was not refunded since (R69)."""
    commission_minor: int = 0
    """The platform's by now."""
    delivered: bool = False
    """The carrier has said so: what that changes has changed (R67)."""

    def disputed(self, dispute_id: str) -> list[tuple[Line, Disputed]]:
        """The lines that this dispute holds."""
        return [
            (line, line.standing)
            for line in self.lines
            if isinstance(line.standing, Disputed) and line.standing.dispute_id == dispute_id
        ]

    def releases_less(self, shares: Iterable[shapes.SettledLine]) -> Mapping[str, int]:
        """What is left of each release once so much of these lines is refunded."""
        left = dict(self.releases)
        refunds = {pieces.key(share): share.refund_minor for share in shares}
        for line in self.lines:
            match line.standing:
                case Disputed(was=Released(settlement_id=settlement)) if line.key in refunds:
                    left[settlement] -= refunds[line.key]
        return left

    @property
    def protects(self) -> bool:
        """There is a line left that the end of protection would, or may, give to the seller."""
        return any(_is_protected(line) for line in self.lines)

    @property
    def secures_money(self) -> bool:
        """What is left there is more than gifts (R76): nobody need be told of the end of nothing."""
        money = money_of(self.lines)
        return money.held_minor > 0 or money.disputed_minor > 0


Order = AwaitingPayment | AwaitingShipment | CancelledOrder | ShippedOrder


def status(order: Order) -> shapes.OrderStatus:
    """The first that holds (R52)."""
    match order:
        case CancelledOrder():
            return "cancelled"
        case AwaitingPayment():
            return "awaiting_payment"
        case AwaitingShipment():
            return "awaiting_shipment"
        case ShippedOrder(lines=lines) if any(isinstance(line.standing, Disputed) for line in lines):
            return "disputed"
        case ShippedOrder(refunding=refunding) if refunding:
            return "payment_processing"
        case ShippedOrder(lines=lines) if any(isinstance(line.standing, Held) for line in lines):
            return "awaiting_confirmation"
        case ShippedOrder():
            return "completed"


def deadlines(order: Order | None) -> Iterable[Deadline[OrderDeadline]]:
    match order:
        case AwaitingPayment():
            yield Deadline("payment_window", order.sale.order_id, order.payment_by)
        case AwaitingShipment():
            yield Deadline("processing_ends", order.sale.order_id, order.processing_ends_at)
            if order.remind_at is not None and money_of(order.lines).held_minor:  # of gifts alone nobody is (R76)
                yield Deadline("processing_reminder", order.sale.order_id, order.remind_at)
        case ShippedOrder():
            if order.reminder_at is not None and order.secures_money:
                yield Deadline("protection_reminder", order.sale.order_id, order.reminder_at)
            if any(isinstance(line.standing, Held) for line in order.lines):
                # Also long after protection: lines that come back then are released as soon as the bell rings.
                yield Deadline("protection_ends", order.sale.order_id, order.protection_ends_at)


def stamp(order: Order | None, event: Event) -> Mapping[str, Any]:
    """Where the order stands after the event (R3)."""
    if isinstance(event, PrivateEvent | Repeated):
        return {}
    if isinstance(event, Rejected) and event.code == "not_allowed":
        return {"status": None, "protection_ends_at": None}  # it may be a stranger's (R77)
    return {
        "status": order and status(order),
        "protection_ends_at": order.protection_ends_at if isinstance(order, ShippedOrder) else None,
    }


def evolve(order: Order | None, event: Event) -> Order | None:
    match order, event:
        case None, events.Placed():
            sale = Sale(event.order_id, event.buyer, event.seller, event.currency, event.policy, event.commission_bps)
            lines = tuple(whole(line.line_id, line.quantity, line.amount_minor) for line in event.lines)
            if event.payment_by is None:
                return AwaitingShipment(sale, lines, event.processing_ends_at, event.remind_at)
            return AwaitingPayment(sale, lines, event.processing_ends_at, event.payment.payment_id, event.payment_by)
        case AwaitingPayment(), events.OrderPaid():
            return AwaitingShipment(order.sale, order.lines, event.processing_ends_at, event.remind_at)
        case AwaitingPayment(), events.Cancelled():
            never = tuple(replace(line, standing=Final(0)) for line in order.lines)
            return CancelledOrder(order.sale, never, order.processing_ends_at, is_paid=False)
        case AwaitingShipment(), events.ProcessingExtended():
            return replace(
                order,
                processing_ends_at=event.processing_ends_at,
                remind_at=event.remind_at,
                extensions=order.extensions + 1,
            )
        case AwaitingShipment(), events.OrderReminded() | ProcessingReminderLapsed():
            return replace(order, remind_at=None)
        case AwaitingShipment(), events.Cancelled():
            refunded = tuple(_cancelled(line) for line in order.lines)
            return CancelledOrder(order.sale, refunded, order.processing_ends_at)
        case AwaitingShipment(), events.LinesCancelled():
            names = {line.line_id for line in event.lines}
            lines = tuple(_cancelled(line) if line.line_id in names else line for line in order.lines)
            return replace(order, lines=lines, settlements=order.settlements + 1, refunding=_refunding(order, event))
        case AwaitingShipment() | ShippedOrder(), events.LinesRefunded():
            amounts = {line.line_id: line.refund_minor for line in event.lines}
            lines = pieces.given_back(order.lines, amounts)
            return replace(order, lines=lines, settlements=order.settlements + 1, refunding=_refunding(order, event))
        case AwaitingShipment() | ShippedOrder(), RefundCompleted():
            return replace(order, refunding=order.refunding - {event.settlement_id})
        case AwaitingShipment(), events.Shipped(protection_ends_at=datetime() as protection_ends_at):
            return ShippedOrder(
                sale=order.sale,
                lines=order.lines,
                processing_ends_at=order.processing_ends_at,
                shipped_at=event.shipped_at,
                disputable_from=event.disputable_from,
                disputable_until=event.disputable_until,
                protection_ends_at=protection_ends_at,
                reminder_at=event.reminder_at,
                settlements=order.settlements,
                refunding=order.refunding,
            )
        case ShippedOrder(), _:
            return _evolve_shipped(order, event)
        case _:
            return order


def _evolve_shipped(order: ShippedOrder, event: Event) -> ShippedOrder:
    match event:
        case events.TrackingReported(tracking_status="delivered"):
            return replace(order, delivered=True)
        case events.ProtectionExtended() | events.ProtectionShortened() if event.protection_ends_at is not None:
            return replace(
                order,
                protection_ends_at=event.protection_ends_at,
                disputable_until=event.disputable_until,
                reminder_at=event.reminder_at,
            )
        case events.ProtectionEnding():
            return replace(order, reminder_at=None)
        case events.ReceiptConfirmed(protection_ends_at=datetime() as ends_at):
            return replace(order, protection_ends_at=ends_at, disputable_until=event.disputable_until, reminder_at=None)
        case events.LinesFrozen():
            lines = pieces.frozen(order.lines, event.lines, event.dispute_id)
            return replace(order, lines=lines, disputes=order.disputes | {event.dispute_id})
        case events.LinesUnfrozen():
            return replace(order, lines=pieces.unfrozen(order.lines, event.dispute_id))
        case events.LinesReleased():
            standing = Final(refund_minor=0) if event.final else Released(event.settlement_id)
            return replace(
                order,
                lines=_standing(order.lines, {pieces.key(part): standing for part in event.lines}),
                settlements=order.settlements + 1,
                releases=order.releases
                if event.final
                else {**order.releases, event.settlement_id: event.release_minor},
                commission_minor=order.commission_minor + event.commission_minor,
            )
        case events.Settled():
            return replace(
                order,
                lines=_standing(order.lines, {pieces.key(part): Final(part.refund_minor) for part in event.lines}),
                settlements=order.settlements + 1,
                refunding=_refunding(order, event),
                releases=order.releases_less(event.lines),
                commission_minor=order.commission_minor + event.commission_minor - event.commission_returned_minor,
            )
        case _:
            return order


def _refunding(
    order: AwaitingShipment | ShippedOrder, event: events.Settled | events.LinesCancelled | events.LinesRefunded
) -> frozenset[str]:
    return order.refunding | {event.settlement_id} if event.refund_minor else order.refunding


def _cancelled(line: Line) -> Line:
    return replace(line, standing=Final(line.left_minor)) if isinstance(line.standing, Held) else line


def _is_protected(line: Line) -> bool:
    match line.standing:
        case Held() | Disputed(was=Held()):
            return True
    return False


def _standing(lines: Iterable[Line], now: Mapping[tuple[str, int], Released | Final]) -> tuple[Line, ...]:
    return tuple(replace(line, standing=now.get(line.key, line.standing)) for line in lines)
