"""The conversation with the payment provider: called with a key, asked under that key, never paid twice (N7)."""

from datetime import datetime

from schemas.payments.commands import ChargeBack, PayBack, PaymentCommand, PayOut, QueryPayment
from schemas.payments.events import PaymentFailed, PaymentSettled
from schemas.refund.events import (
    ChargedBack,
    DoneEvent,
    PaidOut,
    RefundFailed,
    RefundSettled,
    RefundSubmitted,
    ReviewNeeded,
)
from schemas.refund.shapes import ReviewReason
from schemas.wire import Actor
from services.refund.policy import ANSWER_WINDOW_MIN, ATTEMPTS_MAX, back_off
from services.refund.states import Called, Captured, Done, Failed, InReview, Movement, Pending
from shared.kernel.decider import Output

PLATFORM = Actor(role="platform", id="refund")


def first_call(capture: Captured, movement: Movement, time: datetime) -> list[Output]:
    return _call(capture, movement, 1, ATTEMPTS_MAX, False, time)


def next_call(capture: Captured, leg: Pending, asking: bool, time: datetime) -> list[Output]:
    return _call(capture, leg.movement, leg.attempt + 1, leg.attempts_max, asking, time)


def call_by_hand(capture: Captured, leg: Pending, time: datetime) -> list[Output]:
    """An operator's retry: all attempts anew; while nobody knows whether the money moved it begins with a question."""
    asking = isinstance(leg.at, InReview) and leg.at.outcome_unknown
    return _call(capture, leg.movement, leg.attempt + 1, leg.attempt + ATTEMPTS_MAX, asking, time)


def _call(
    capture: Captured, movement: Movement, attempt: int, attempts_max: int, asking: bool, time: datetime
) -> list[Output]:
    submitted = RefundSubmitted(
        settlement_id=movement.settlement_id,
        leg=movement.leg,
        asking=asking,
        attempt=attempt,
        attempts_max=attempts_max,
        answer_by=time + max(ANSWER_WINDOW_MIN, back_off(attempts_max - attempt)),
    )
    return [submitted, _question(capture, movement) if asking else _payment(capture, movement)]


def _question(capture: Captured, movement: Movement) -> PaymentCommand:
    return QueryPayment(order_id=capture.order_id, actor=PLATFORM, payment_key=movement.payment_key)


def _payment(capture: Captured, movement: Movement) -> PaymentCommand:
    match movement.leg:
        case "refund":
            return PayBack(
                order_id=capture.order_id,
                actor=PLATFORM,
                payment_key=movement.payment_key,
                payment_id=capture.payment_id,
                currency=capture.currency,
                amount_minor=movement.amount_minor,
            )
        case "payout" | "chargeback":
            return (PayOut if movement.leg == "payout" else ChargeBack)(
                order_id=capture.order_id,
                actor=PLATFORM,
                payment_key=movement.payment_key,
                seller_id=capture.seller_id,
                currency=capture.currency,
                amount_minor=movement.amount_minor,
            )


def time_is_up(capture: Captured, leg: Pending, time: datetime) -> list[Output]:
    """The answer window or the back-off of a leg is over."""
    if isinstance(leg.at, Failed):
        return next_call(capture, leg, asking=False, time=time)
    if leg.attempt < leg.attempts_max:
        return next_call(capture, leg, asking=True, time=time)
    return [_review(leg, "no_answer")]


def settled(capture: Captured, leg: Pending | Done, answer: PaymentSettled) -> list[Output]:
    """The money has moved, whatever was said before: a late answer counts as much as a prompt one."""
    as_asked = (answer.amount_minor, answer.currency) == (leg.movement.amount_minor, capture.currency)
    match leg:
        case Pending() if as_asked:
            return [done(capture, leg.movement, answer.provider_reference)]
        case Pending(at=InReview(reason="mismatch")):
            return []  # said before
        case Pending():
            return [_review(leg, "mismatch")]
        case Done(settled_again=False) if not as_asked or answer.provider_reference != leg.provider_reference:
            # Perhaps paid twice, by the provider or by it and an operator: nothing here can undo that.
            return [_review(leg, "settled_again")]
        case Done():
            return []


def failed(capture: Captured, leg: Pending | Done, answer: PaymentFailed, time: datetime) -> list[Output]:
    match leg:
        case Done():
            return []  # of an attempt before the one that settled it
        case Pending(at=Called(asking=True)) if answer.code == "unknown_key":
            if leg.attempt < leg.attempts_max:
                return next_call(capture, leg, asking=False, time=time)
            return [_review(leg, "attempts_used_up")]
        case Pending() if answer.code == "unknown_key":
            return []  # to an earlier question; the movement was sent again since
        case Pending(at=Called() | Failed()) if not answer.retryable:
            return [_failure(leg, answer, None), _review(leg, "final_failure")]
        case Pending(at=Called()) if leg.attempt == leg.attempts_max:
            return [_failure(leg, answer, None), _review(leg, "attempts_used_up")]
        case Pending(at=Called()):
            return [_failure(leg, answer, time + back_off(leg.attempts_max - leg.attempt))]
        case Pending():
            return []  # said before: it waits for its next attempt or for the operator


def done(capture: Captured, movement: Movement, provider_reference: str, note: str | None = None) -> DoneEvent:
    match movement.leg:
        case "refund":
            return RefundSettled(
                settlement_id=movement.settlement_id,
                refund_minor=movement.amount_minor,
                buyer_id=capture.buyer_id,
                provider_reference=provider_reference,
                note=note,
            )
        case "payout" | "chargeback":
            return (PaidOut if movement.leg == "payout" else ChargedBack)(
                settlement_id=movement.settlement_id,
                amount_minor=movement.amount_minor,
                seller_id=capture.seller_id,
                provider_reference=provider_reference,
                note=note,
            )


def _failure(leg: Pending, answer: PaymentFailed, retry_at: datetime | None) -> RefundFailed:
    return RefundFailed(
        settlement_id=leg.movement.settlement_id,
        leg=leg.movement.leg,
        code=answer.code,
        retryable=answer.retryable,
        message=answer.message,
        retry_at=retry_at,
    )


def _review(leg: Pending | Done, reason: ReviewReason) -> ReviewNeeded:
    return ReviewNeeded(settlement_id=leg.movement.settlement_id, leg=leg.movement.leg, reason=reason)
