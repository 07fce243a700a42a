"""What can happen to an order (R1-R9, R52): placed, cancelled, shipped, protected, disputed, released, completed."""

from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from typing import Any, Literal

from schemas.dispute.events import DisputeClosed, DisputeRequested
from schemas.order import commands, events, shapes
from schemas.policy import Policy
from schemas.refund.events import RefundSettled
from schemas.wire import MEDIATORS_KEY, Event, rfc3339
from services.order import disputing
from services.order.lines import Held, money_of, settlement_id
from services.order.policy import disputable_until, extension_days_max, notice_at
from services.order.states import (
    PROCESSING_ENDS,
    PROTECTION_ENDS,
    PROTECTION_REMINDER,
    AwaitingShipment,
    Order,
    RefundCompleted,
    Sale,
    Shipped,
    deadlines,
    evolve,
    stamp,
    status,
)
from shared.kernel.decider import Deadline, Decider, Output, Refusal
from shared.rules.policies import Policies, after


def decide(order: Order | None, message: Any, time: datetime, policies: Policies) -> Sequence[Output]:
    """What is said to one input, and, whenever it leads there, that the order is completed (R52)."""
    said = _decide(order, message, time, policies)
    if not isinstance(order, Shipped):
        return said  # it cannot be completed by this
    before: Order | None = order
    then = reduce(evolve, [output for output in said if isinstance(output, Event)], before)
    if then is None or status(then) != "completed" or status(order) == "completed":
        return said
    money = money_of(then.lines)
    return [*said, events.Completed(refund_minor=money.refunded_minor, release_minor=money.released_minor)]


def _decide(order: Order | None, message: Any, time: datetime, policies: Policies) -> Sequence[Output]:
    match message:
        case Deadline():
            return _elapsed(order, message)
        case DisputeRequested():
            return disputing.requested(order, message, policies)
        case DisputeClosed():
            return disputing.closed(order, message)
        case RefundSettled(settlement_id=settlement):
            # A cancelled order waits for nothing: its refund runs beside it (R5).
            refunding = isinstance(order, Shipped) and settlement in order.refunding
            return [RefundCompleted(settlement_id=settlement)] if refunding else []
        case commands.Place():
            return [_place(order, message, time, policies)]
    if order is None:
        return [Refusal("not_found", "There is no such order.")]
    if not _may(order.sale, message):
        return [Refusal("not_allowed", "This is not yours to do.")]
    return _act(order, message, time, policies.of(order.sale.policy))


def _place(order: Order | None, wish: commands.Place, time: datetime, policies: Policies) -> Output:
    newest = policies.newest(wish.policy)
    if wish.order_id == MEDIATORS_KEY:
        return Refusal("invalid", f"No order may be called {MEDIATORS_KEY}.")
    if len({line.line_id for line in wish.lines}) < len(wish.lines):
        return Refusal("invalid", "Two lines have the same line_id.")
    if sum(line.amount_minor for line in wish.lines) != wish.payment.amount_minor:
        return Refusal("invalid", "The lines do not add up to the payment.")
    if newest is None:
        return Refusal("invalid", f"There is no policy {wish.policy}.")
    if order is not None:
        return Refusal("already_exists", "This order was placed before.")
    if wish.actor.role not in wish.by or (wish.actor.role == "buyer" and wish.actor.id != wish.buyer.id):
        return Refusal("not_allowed", "Only the platform or the buyer himself may place this order.")
    reference, policy = newest
    return events.Placed(
        order_id=wish.order_id,
        buyer=wish.buyer,
        seller=wish.seller,
        currency=wish.currency,
        total_minor=wish.payment.amount_minor,
        lines=wish.lines,
        payment=wish.payment,
        policy=reference,
        processing_ends_at=after(time, policy.processing, policy),
    )


def _may(sale: Sale, wish: commands.OrderCommand) -> bool:
    """The role by the command, the person by the order."""
    people = {"buyer": sale.buyer.id, "seller": sale.seller.id}
    return wish.actor.role in wish.by and people.get(wish.actor.role, wish.actor.id) == wish.actor.id


def _act(order: Order, wish: commands.OrderCommand, time: datetime, policy: Policy) -> Sequence[Output]:
    match order, wish:
        case _, commands.Ship() | commands.ExtendProcessing() if time > order.processing_ends_at:
            return [_too_late("The time to ship this order is over.", order.processing_ends_at)]
        case Shipped(), commands.RequestExtension() | commands.ExtendProtection() if time > order.protection_ends_at:
            return [_too_late("The protection of this order is over.", order.protection_ends_at)]

        case AwaitingShipment(), commands.Cancel():
            return [_cancel(order, "buyer", wish.reason)]
        case AwaitingShipment(), commands.ExtendProcessing():
            return [_extend_processing(order, wish, policy)]
        case AwaitingShipment(), commands.Ship():
            return [_ship(wish, time, policy)]

        case Shipped(), commands.CorrectTracking() if status(order) != "completed":
            return [events.TrackingCorrected(carrier=wish.carrier, tracking_number=wish.tracking_number)]
        case Shipped(), commands.ReportTracking():
            return [events.TrackingReported(tracking_status=wish.status, at=wish.at)]
        case Shipped(), commands.RequestExtension() | commands.ExtendProtection() if order.protects:
            return [_extend(order, wish, time, policy)]
        case Shipped(), commands.ConfirmReceipt() if status(order) != "disputed" and order.protects:
            confirmed = events.ReceiptConfirmed(
                protection_ends_at=time, disputable_until=after(time, policy.post_receipt_window, policy)
            )
            return [confirmed, _release(order, "receipt_confirmed")]
    return [Refusal("wrong_state", f"This cannot be done now: the order is {status(order).replace('_', ' ')}.")]


def _elapsed(order: Order | None, deadline: Deadline) -> Sequence[Output]:
    match order, deadline.name:
        case AwaitingShipment(), _:
            return [_cancel(order, "not_shipped")]
        case Shipped(), name if name == PROTECTION_REMINDER:
            money = money_of(order.lines)
            return [
                events.ProtectionEnding(
                    held_minor=money.held_minor,
                    disputed_minor=money.disputed_minor,
                    disputable_until=order.disputable_until,
                )
            ]
        case Shipped(), _:
            return [_release(order, "protection_ended")]
    return []


def _too_late(sentence: str, lost_at: datetime) -> Refusal:
    return Refusal("too_late", sentence, {"lost_at": rfc3339(lost_at)})


def _cancel(order: AwaitingShipment, cause: Literal["buyer", "not_shipped"], reason: str | None = None) -> Output:
    """Everything back to the buyer (R5, R5b)."""
    return events.Cancelled(
        settlement_id=settlement_id(order.sale.order_id, 1),
        refund_minor=money_of(order.lines).held_minor,
        cause=cause,
        reason=reason,
    )


def _extend_processing(order: AwaitingShipment, wish: commands.ExtendProcessing, policy: Policy) -> Output:
    if order.extensions >= policy.max_processing_extensions:
        return Refusal("limit_exceeded", "The time to ship cannot be extended again.", {"max_days": 0})
    if wish.days > policy.max_extension_days:
        days = policy.max_extension_days
        return Refusal(
            "limit_exceeded", f"The time to ship can be extended by {days} days at most.", {"max_days": days}
        )
    ends_at = after(order.processing_ends_at, policy.day, policy, times=wish.days)
    return events.ProcessingExtended(days=wish.days, processing_ends_at=ends_at)


def _ship(wish: commands.Ship, time: datetime, policy: Policy) -> Output:
    """Protection begins (R9)."""
    protection_ends_at = after(time, policy.protection, policy)
    return events.Shipped(
        carrier=wish.carrier,
        tracking_number=wish.tracking_number,
        shipped_at=time,
        protection_ends_at=protection_ends_at,
        disputable_from=after(time, policy.open_from, policy),
        disputable_until=disputable_until(protection_ends_at, policy),
        reminder_at=max(notice_at(protection_ends_at, policy), time),  # at once where protection is so short
    )


def _extend(
    order: Shipped, wish: commands.RequestExtension | commands.ExtendProtection, time: datetime, policy: Policy
) -> Output:
    """The seller extends, the buyer can ask for no more than the seller could grant (R4)."""
    days_max = extension_days_max(order.shipped_at, order.protection_ends_at, policy)
    if wish.days > days_max:
        message = f"Protection can be extended by {days_max} days at most."
        return Refusal("limit_exceeded", message, {"max_days": days_max})
    if isinstance(wish, commands.RequestExtension):
        return events.ExtensionRequested(days=wish.days, message=wish.message)
    ends_at = after(order.protection_ends_at, policy.day, policy, times=wish.days)
    notice = notice_at(ends_at, policy)
    return events.ProtectionExtended(
        days=wish.days,
        protection_ends_at=ends_at,
        disputable_until=disputable_until(ends_at, policy),
        reminder_at=notice if notice > time else order.reminder_at,  # told already: this event tells the new end
    )


def _release(order: Shipped, cause: Literal["receipt_confirmed", "protection_ended"]) -> Output:
    """What is held is the seller's now (R2, R6)."""
    released = [
        shapes.ReleasedLine(line_id=line.line_id, amount_minor=line.amount_minor)
        for line in order.lines
        if isinstance(line.standing, Held)
    ]
    return events.LinesReleased(
        settlement_id=settlement_id(order.sale.order_id, order.settlements + 1),
        lines=tuple(released),
        release_minor=sum(line.amount_minor for line in released),
        final=False,
        cause=cause,
    )


DECIDER: Decider[Order] = Decider(
    service="order",
    decide=decide,
    evolve=evolve,
    deadlines=deadlines,
    stamp=stamp,
    rejected=events.OrderRejected,
    resumed=events.OrderResumed,
    hears=(DisputeRequested, DisputeClosed, RefundSettled),
    deadline_names=(PROCESSING_ENDS, PROTECTION_REMINDER, PROTECTION_ENDS),
)
