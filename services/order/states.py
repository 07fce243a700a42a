"""What an order is, and how its own events make it so."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, get_args

from schemas.common import Party, PolicyRef
from schemas.example import fields
from schemas.order import events, shapes
from schemas.order.shapes import OrderDeadline
from schemas.wire import Event, Id, PrivateEvent, Rejected, Repeated
from services.order import pieces
from services.order.lines import Disputed, Final, Held, Line, Released, Unshipped, money_of, whole
from shared.kernel.decider import Deadline, in_order


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
class Processing:
    """The seller's time to ship (R5b)."""

    ends_at: datetime
    remind_at: datetime | None
    """None: nobody is reminded, or he was."""
    extensions: int = 0


@dataclass(frozen=True, slots=True)
class Parcel:
    shipped_at: datetime
    delivered: bool = False
    """The carrier has said so."""


@dataclass(frozen=True, slots=True)
class AwaitingShipment:
    """Nothing is shipped yet."""

    sale: Sale
    lines: tuple[Line, ...]
    processing: Processing
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
    """Everything after the first parcel: its lines and running refunds say whether it is disputed, waiting or
    completed."""

    sale: Sale
    lines: tuple[Line, ...]
    processing: Processing
    """What is in no parcel yet must be in one by its end (R66)."""
    parcels: Mapping[str, Parcel]
    """By their ids, the first one first."""
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
    def last_shipped_at(self) -> datetime:
        """Protection counts from the last parcel (R66)."""
        return max(parcel.shipped_at for parcel in self.parcels.values())

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
        case ShippedOrder() if unshipped(order):
            return "awaiting_shipment"
        case ShippedOrder():
            return "completed"


def deadlines(order: Order | None) -> Iterable[Deadline[OrderDeadline]]:
    match order:
        case AwaitingPayment():
            yield Deadline("payment_window", order.sale.order_id, order.payment_by)
        case AwaitingShipment():
            yield from _processing_deadlines(order)
        case ShippedOrder():
            yield from _processing_deadlines(order)
            if order.reminder_at is not None and order.secures_money:
                yield Deadline("protection_reminder", order.sale.order_id, order.reminder_at)
            if any(isinstance(line.standing, Held) for line in order.lines):
                # Also long after protection: lines that come back then are released as soon as the bell rings.
                yield Deadline("protection_ends", order.sale.order_id, order.protection_ends_at)


def _processing_deadlines(order: AwaitingShipment | ShippedOrder) -> Iterable[Deadline[OrderDeadline]]:
    if unshipped(order):
        yield Deadline("processing_ends", order.sale.order_id, order.processing.ends_at)
        if order.processing.remind_at is not None and money_of(order.lines).unshipped_minor:  # not of gifts alone (R76)
            yield Deadline("processing_reminder", order.sale.order_id, order.processing.remind_at)


def unshipped(order: Order) -> list[Line]:
    """What is still with the seller: of each line its highest-numbered pieces, if any."""
    return [line for line in order.lines if isinstance(line.standing, Unshipped)]


def stamp(order: Order | None, event: Event) -> Mapping[str, Any]:
    """Where the order stands after the event (R3, R83)."""
    if isinstance(event, PrivateEvent | Repeated):
        return {}
    if order is None or (isinstance(event, Rejected) and event.code == "not_allowed"):
        return {"status": None, "protection_ends_at": None}  # it may be a stranger's (R77)
    return {
        "status": status(order),
        "protection_ends_at": order.protection_ends_at if isinstance(order, ShippedOrder) else None,
        "deadlines": tuple(
            shapes.OrderClock(name=one.name, at=one.due_at)
            for one in in_order(deadlines(order), get_args(OrderDeadline))
        ),
    }


def evolve(order: Order | None, event: Event) -> Order | None:
    match order, event:
        case None, events.Placed():
            sale = Sale(event.order_id, event.buyer, event.seller, event.currency, event.policy, event.commission_bps)
            lines = tuple(whole(line.line_id, line.quantity, line.amount_minor) for line in event.lines)
            if event.payment_by is None:
                return AwaitingShipment(sale, lines, Processing(event.processing_ends_at, event.remind_at))
            return AwaitingPayment(sale, lines, event.processing_ends_at, event.payment.payment_id, event.payment_by)
        case AwaitingPayment(), events.OrderPaid():
            return AwaitingShipment(order.sale, order.lines, Processing(event.processing_ends_at, event.remind_at))
        case AwaitingPayment(), events.Cancelled():
            never = tuple(replace(line, standing=Final(0)) for line in order.lines)
            return CancelledOrder(order.sale, never, order.processing_ends_at, is_paid=False)
        case AwaitingShipment() | ShippedOrder(), events.ProcessingExtended():
            again = Processing(event.processing_ends_at, event.remind_at, order.processing.extensions + 1)
            return replace(order, processing=again)
        case AwaitingShipment() | ShippedOrder(), events.OrderReminded() | ProcessingReminderLapsed():
            return replace(order, processing=replace(order.processing, remind_at=None))
        case AwaitingShipment(), events.Cancelled():
            refunded = {line.key: Final(line.left_minor) for line in unshipped(order)}
            return CancelledOrder(order.sale, _standing(order.lines, refunded), order.processing.ends_at)
        case AwaitingShipment() | ShippedOrder(), events.LinesCancelled():
            lines = _standing(order.lines, {pieces.key(part): Final(part.refund_minor) for part in event.lines})
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
                lines=pieces.shipped(order.lines, event.lines),
                processing=order.processing,
                parcels={event.parcel_id: Parcel(event.shipped_at)},
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
        case events.Shipped(protection_ends_at=datetime() as ends_at):
            return replace(
                order,
                lines=pieces.shipped(order.lines, event.lines),
                parcels={**order.parcels, event.parcel_id: Parcel(event.shipped_at)},
                protection_ends_at=ends_at,
                disputable_until=event.disputable_until,
                reminder_at=event.reminder_at,
            )
        case events.TrackingReported(tracking_status="delivered", parcel_id=parcel_id) if parcel_id in order.parcels:
            arrived = replace(order.parcels[parcel_id], delivered=True)
            return replace(order, parcels={**order.parcels, parcel_id: arrived})
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


def _is_protected(line: Line) -> bool:
    match line.standing:
        case Held() | Disputed(was=Held()):
            return True
    return False


def _standing(lines: Iterable[Line], now: Mapping[tuple[str, int], Released | Final]) -> tuple[Line, ...]:
    return tuple(replace(line, standing=now.get(line.key, line.standing)) for line in lines)
