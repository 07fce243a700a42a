"""What can happen to an order (R1-R9, R52): placed, cancelled, shipped, protected, disputed, released, completed."""

from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from typing import Literal, assert_never, get_args

from schemas.dispute.events import DisputeClosed, DisputeRequested
from schemas.order import commands, events, shapes
from schemas.order.shapes import OrderDeadline
from schemas.policy import Policy
from schemas.refund.events import RefundCaptured, RefundSettled
from schemas.wire import MEDIATORS_KEY, Event
from services.order import disputing, giving_back, shipping
from services.order.disputing import NO_ORDER
from services.order.giving_back import unknown_line
from services.order.lines import Held, Released, commission_minor, money_of, settlement_id
from services.order.policy import disputable_until, extension_days_max, notice_at
from services.order.states import (
    AwaitingPayment,
    AwaitingShipment,
    CancelledOrder,
    Order,
    RefundCompleted,
    ShippedOrder,
    deadlines,
    evolve,
    stamp,
    status,
    unshipped,
)
from services.order.subscriptions import SUBSCRIPTIONS, Foreign
from shared.kernel.decider import Deadline, Decider, Output, Refusal
from shared.kernel.policies import Policies
from shared.rules.calendar import after
from shared.rules.refusals import too_late, who_may
from shared.rules.reminding import remind_at

Act = (
    commands.Cancel
    | commands.RefundLines
    | commands.ExtendProcessing
    | commands.Ship
    | commands.CorrectTracking
    | commands.ReportTracking
    | commands.RequestExtension
    | commands.ExtendProtection
    | commands.ConfirmReceipt
)
"""What is done with an order that is there."""
Commands = commands.Place | Act


def decide(order: Order | None, command: Commands, now: datetime, policies: Policies) -> Sequence[Output]:
    if isinstance(command, commands.Place):
        return [_place(order, command, now, policies)]
    if order is None:
        return [NO_ORDER]
    if wrong := _misnamed(order, command):
        return [wrong]
    if refusal := who_may(command, {"buyer": {order.sale.buyer.id}, "seller": {order.sale.seller.id}}):
        return [refusal]
    return _with_completion(order, _obey(order, command, now, policies.of(order.sale.policy)))


def _misnamed(order: Order, command: Act) -> Refusal | None:
    match command:
        case commands.Cancel() | commands.RefundLines():
            return unknown_line(order, command)
        case commands.Ship() | commands.CorrectTracking() | commands.ReportTracking():
            return shipping.misnamed(order, command)
        case _:
            return None


def _obey(order: Order, command: Act, now: datetime, policy: Policy) -> Sequence[Output]:
    """Which act is possible in which state; its own clock counts first, whatever the state (`too_late`)."""
    match command:
        case commands.Cancel():
            if command.actor.role == "buyer" and command.lines is not None:
                return [giving_back.NOT_THE_BUYERS]
            if isinstance(order, AwaitingShipment | ShippedOrder) and unshipped(order):
                return [giving_back.cancel(order, command)]
        case commands.RefundLines():
            if isinstance(order, AwaitingShipment | ShippedOrder):
                return [giving_back.refund(order, command)]
        case commands.ExtendProcessing() | commands.Ship() if (ended_at := _time_to_ship(order)) and now > ended_at:
            return [too_late(ended_at)]
        case commands.ExtendProcessing():
            if isinstance(order, AwaitingShipment | ShippedOrder) and unshipped(order):
                return [shipping.extend_processing(order, command, now, policy)]
        case commands.Ship():
            if isinstance(order, AwaitingShipment | ShippedOrder) and unshipped(order):
                return [shipping.ship(order, command, now, policy)]
        case commands.CorrectTracking():
            if isinstance(order, ShippedOrder) and status(order) != "completed":
                return [shipping.correct(order, command)]
        case commands.ReportTracking():
            if isinstance(order, ShippedOrder):
                return shipping.report(order, command, now, policy)
        case commands.RequestExtension() | commands.ExtendProtection():
            if isinstance(order, ShippedOrder) and now > order.protection_ends_at:
                return [too_late(order.protection_ends_at)]
            if isinstance(order, ShippedOrder) and order.protects:
                return [_extend(order, command, now, policy)]
        case commands.ConfirmReceipt():
            if isinstance(order, ShippedOrder) and status(order) != "disputed" and order.protects:
                disputable = after(now, policy.post_receipt_window, policy)
                rest_ships_by = order.processing.ends_at if unshipped(order) else None
                confirmed = events.ReceiptConfirmed(
                    protection_ends_at=now, disputable_until=disputable, rest_ships_by=rest_ships_by
                )
                return [confirmed, _release(order, "receipt_confirmed")]
        case _:
            assert_never(command)
    return [Refusal("wrong_state", f"This cannot be done now: the order is {status(order).replace('_', ' ')}.")]


def _time_to_ship(order: Order) -> datetime | None:
    """When it ends, or ended; None: it never began."""
    match order:
        case AwaitingPayment():
            return None
        case CancelledOrder(is_paid=is_paid):
            return order.processing_ends_at if is_paid else None
        case AwaitingShipment() | ShippedOrder():
            return order.processing.ends_at


def react(order: Order | None, event: Foreign, now: datetime, policies: Policies) -> Sequence[Output]:
    said: Sequence[Output]
    match event:
        case DisputeRequested():
            said = disputing.requested(order, event, policies)
        case DisputeClosed():
            said = disputing.closed(order, event)
        case RefundCaptured():
            said = _paid(order, event, policies)
        case RefundSettled(settlement_id=settlement):
            # A cancelled order waits for nothing: its refund runs beside it (R5).
            refunding = isinstance(order, AwaitingShipment | ShippedOrder) and settlement in order.refunding
            said = [RefundCompleted(settlement_id=settlement)] if refunding else []
        case _:
            assert_never(event)
    return _with_completion(order, said)


def expire(
    order: Order | None, deadline: Deadline[OrderDeadline], now: datetime, policies: Policies
) -> Sequence[Output]:
    said: Sequence[Output]
    match deadline.name:
        case "payment_window":
            said = [_not_paid(order)] if isinstance(order, AwaitingPayment) else []
        case "processing_ends":
            said = [giving_back.not_shipped(order)] if isinstance(order, AwaitingShipment | ShippedOrder) else []
        case "processing_reminder":
            said = [giving_back.reminded(order, now)] if isinstance(order, AwaitingShipment | ShippedOrder) else []
        case "protection_reminder":
            said = [_ending(order)] if isinstance(order, ShippedOrder) else []
        case "protection_ends":
            said = [_release(order, "protection_ended")] if isinstance(order, ShippedOrder) else []
        case _:
            assert_never(deadline.name)
    return _with_completion(order, said)


def _with_completion(order: Order | None, said: Sequence[Output]) -> Sequence[Output]:
    """What is said, and, whenever it leads there, that the order is completed (R52)."""
    if not isinstance(order, ShippedOrder):
        return said  # it cannot be completed by this
    before: Order | None = order
    then = reduce(evolve, [output for output in said if isinstance(output, Event)], before)
    if not isinstance(then, ShippedOrder) or status(then) != "completed" or status(order) == "completed":
        return said
    money = money_of(then.lines)
    claimable = any(isinstance(line.standing, Released) for line in then.lines)
    completed = events.Completed(
        refund_minor=money.refunded_minor,
        release_minor=money.released_minor,
        commission_minor=then.commission_minor,
        disputable_until=then.disputable_until if claimable else None,
    )
    return [*said, completed]


def _place(order: Order | None, wish: commands.Place, now: datetime, policies: Policies) -> Output:
    newest = policies.newest(wish.policy)
    if wish.order_id == MEDIATORS_KEY:
        return Refusal("invalid", f"No order may be called {MEDIATORS_KEY}.")
    if len({line.line_id for line in wish.lines}) < len(wish.lines):
        return Refusal("invalid", "Two lines have the same line_id.")
    if sum(line.amount_minor for line in wish.lines) != wish.payment.amount_minor:
        return Refusal("invalid", "The lines do not add up to the payment.")
    if wish.buyer.id == wish.seller.id:
        return Refusal("invalid", "Nobody buys from himself.")
    if newest is None:
        return Refusal("invalid", f"There is no policy {wish.policy}.")
    if order is not None:
        return Refusal("already_exists", "This order was placed before.")
    if refusal := who_may(wish, {}):
        return refusal
    reference, policy = newest
    payment_by = after(now, policy.payment_window, policy) if policy.capture == "confirmed" else None
    ends_at = after(payment_by or now, policy.processing, policy)
    return events.Placed(
        order_id=wish.order_id,
        buyer=wish.buyer,
        seller=wish.seller,
        currency=wish.currency,
        total_minor=wish.payment.amount_minor,
        lines=wish.lines,
        payment=wish.payment,
        policy=reference,
        processing_ends_at=ends_at,
        payment_by=payment_by,
        commission_bps=wish.commission_bps,
        remind_at=None if payment_by else remind_at(now, ends_at, policy),
    )


def _paid(order: Order | None, captured: RefundCaptured, policies: Policies) -> list[Event]:
    """Only if it was in time; of an order that is cancelled the refund service gives the money back by itself (R61)."""
    if not isinstance(order, AwaitingPayment) or captured.captured_at is None:
        return []
    if captured.captured_at > order.payment_by:
        return []
    policy = policies.of(order.sale.policy)
    ends_at = after(captured.captured_at, policy.processing, policy)
    paid = events.OrderPaid(
        payment_id=captured.payment_id,
        amount_minor=captured.amount_minor,
        processing_ends_at=ends_at,
        remind_at=remind_at(captured.captured_at, ends_at, policy),
    )
    return [paid]


def _not_paid(order: AwaitingPayment) -> Output:
    return events.Cancelled(settlement_id=settlement_id(order.sale.order_id, 1), refund_minor=0, cause="not_paid")


def _ending(order: ShippedOrder) -> Output:
    """Both parties are told what will happen (R4b)."""
    money = money_of(order.lines)
    return events.ProtectionEnding(
        held_minor=money.held_minor, disputed_minor=money.disputed_minor, disputable_until=order.disputable_until
    )


def _extend(
    order: ShippedOrder, wish: commands.RequestExtension | commands.ExtendProtection, time: datetime, policy: Policy
) -> Output:
    """The seller extends, the buyer can ask for no more than the seller could grant (R4)."""
    days_max = extension_days_max(order.last_shipped_at, order.protection_ends_at, policy)
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


def _release(order: ShippedOrder, cause: Literal["receipt_confirmed", "protection_ended"]) -> Output:
    """What is held is the seller's now (R2, R6)."""
    released = [
        shapes.ReleasedLine(line_id=line.line_id, amount_minor=line.left_minor, pieces=line.numbers)
        for line in order.lines
        if isinstance(line.standing, Held)
    ]
    release_minor = sum(line.amount_minor for line in released)
    return events.LinesReleased(
        settlement_id=settlement_id(order.sale.order_id, order.settlements + 1),
        lines=tuple(released),
        release_minor=release_minor,
        commission_minor=commission_minor(release_minor, order.sale.commission_bps),
        final=False,
        cause=cause,
    )


DECIDER: Decider[Order, Commands, Foreign] = Decider(
    service="order",
    commands=get_args(Commands),
    decide=decide,
    subscriptions=SUBSCRIPTIONS,
    react=react,
    deadlines=deadlines,
    deadline_names=get_args(OrderDeadline),
    expire=expire,
    evolve=evolve,
    stamp=stamp,
    rejected=events.OrderRejected,
    repeated=events.OrderRepeated,
    resume=commands.OrderResume,
    resumed=events.OrderResumed,
)
