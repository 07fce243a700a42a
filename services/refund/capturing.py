"""The conversation with the payment service about the buyer's own payment: a capture is its fact, no claim (R61)."""

from datetime import datetime

from schemas.order.events import Cancelled, Placed
from schemas.payments.events import PaymentCaptured
from schemas.refund.events import RefundCaptured, RefundRequested
from services.refund.calling import first_call
from services.refund.movement import CaptureAwaited, CaptureLapsed, Movement
from services.refund.requesting import request
from services.refund.reviewing import unasked
from services.refund.states import Order, State
from shared.kernel.decider import Output
from shared.kernel.policies import Policies


def ask(awaited: CaptureAwaited, placed: Placed, now: datetime) -> list[Output]:
    movement = Movement(settlement_id=placed.order_id, leg="capture", amount_minor=awaited.amount_minor)
    requested = RefundRequested(
        settlement_id=movement.settlement_id,
        leg="capture",
        amount_minor=movement.amount_minor,
        due_by=placed.payment_by or now,
    )
    expected = RefundCaptured(**awaited.model_dump())
    return [awaited, *first_call(expected, requested, movement, now)]


def captured(state: State | None, event: PaymentCaptured, now: datetime, policies: Policies) -> list[Output]:
    """Of this payment, over this amount: the escrow has it. Anything else is looked at by a person; and what comes for
    an order that was cancelled meanwhile goes back in full."""
    if not isinstance(state, Order):
        return unasked(state, event, now)
    expected = state.capture
    if (event.payment_id, event.amount_minor, event.currency) != (
        expected.payment_id,
        expected.amount_minor,
        expected.currency,
    ):
        return unasked(state, event, now, "mismatch")
    if state.is_captured:
        return []  # told before, or believed
    fact = expected.model_copy(update={"captured_at": now})
    return [fact, *(give_back(state, state.lapsed_as, now, policies) if state.lapsed_as else [])]


def not_paid(order: Order, event: Cancelled, now: datetime, policies: Policies) -> list[Output]:
    """The order's time to be paid is over. A capture that crossed it goes back."""
    if order.lapsed_as is not None:
        return []
    if order.is_captured:
        return give_back(order, event.settlement_id, now, policies)
    return [CaptureLapsed(settlement_id=event.settlement_id)]


def give_back(order: Order, settlement_id: str, now: datetime, policies: Policies) -> list[Output]:
    whole = Movement(settlement_id=settlement_id, leg="refund", amount_minor=order.capture.amount_minor)
    new = [] if whole.key in order.legs else [whole]
    return request(order.capture, new, now, policies, on_hold=order.on_hold)
