"""The conversation with the payment provider: called with a key, asked under that key, never paid twice (N7)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.payments.commands import ChargeBack, ConfirmPayment, PayBack, PaymentCommand, PayOut, QueryPayment
from schemas.payments.events import PaymentFailed, PaymentSettled
from schemas.refund.events import (
    ChargedBack,
    DoneEvent,
    PaidOut,
    RefundCaptured,
    RefundFailed,
    RefundRequested,
    RefundSettled,
    RefundSubmitted,
)
from schemas.wire import Actor, Service
from services.refund.movement import Movement, generation_of
from services.refund.policy import ANSWER_WINDOW_MIN, ATTEMPTS_MAX, back_off
from services.refund.reviewing import failed_after_all, review, settled_otherwise, unasked, word
from services.refund.states import Called, Done, Failed, InReview, Order, Pending, Unasked
from shared.kernel.decider import Call, Output, Refusal, call_id

PLATFORM = Actor(role="platform", id="refund")
SERVICE: Service = "refund"
UNANSWERED = Refusal("wrong_state", "The payment provider was called and may still answer.")


def first_call(capture: RefundCaptured, requested: RefundRequested, movement: Movement, time: datetime) -> list[Output]:
    """In the same breath, which is told with it."""
    called = requested.model_copy(update={"attempts_max": ATTEMPTS_MAX, "answer_by": _answer_by(1, ATTEMPTS_MAX, time)})
    return [called, Call(_payment(capture, movement), _call_name(movement, 1))]


def next_call(capture: RefundCaptured, leg: Pending, asking: bool, time: datetime) -> list[Output]:
    return _call(capture, leg.movement, leg.attempt + 1, leg.attempts_max, asking, time)


def call_by_hand(capture: RefundCaptured, leg: Pending, time: datetime) -> list[Output]:
    """By an operator: all attempts anew; while nobody knows whether the money moved it begins with a question."""
    asking = isinstance(leg.at, InReview) and leg.at.outcome_unknown
    return _call(capture, leg.owed, leg.attempt + 1, leg.attempt + ATTEMPTS_MAX, asking, time)


def _call(
    capture: RefundCaptured, movement: Movement, attempt: int, attempts_max: int, asking: bool, time: datetime
) -> list[Output]:
    submitted = RefundSubmitted(
        settlement_id=movement.settlement_id,
        leg=movement.leg,
        asking=asking,
        attempt=attempt,
        attempts_max=attempts_max,
        answer_by=_answer_by(attempt, attempts_max, time),
        payment_key=movement.payment_key,
    )
    message = _question(capture, movement) if asking else _payment(capture, movement)
    return [submitted, Call(message, _call_name(movement, attempt))]


def _answer_by(attempt: int, attempts_max: int, time: datetime) -> datetime:
    return time + max(ANSWER_WINDOW_MIN, back_off(attempts_max - attempt))


def _call_name(movement: Movement, attempt: int) -> str:
    return f"{movement.payment_key}/{attempt}"


def _question(capture: RefundCaptured, movement: Movement) -> PaymentCommand:
    return QueryPayment(order_id=capture.order_id, actor=PLATFORM, payment_key=movement.payment_key)


def _payment(capture: RefundCaptured, movement: Movement) -> PaymentCommand:
    match movement.leg:
        case "capture":
            return ConfirmPayment(
                order_id=capture.order_id,
                actor=PLATFORM,
                payment_key=movement.payment_key,
                payment_id=capture.payment_id,
                currency=capture.currency,
                amount_minor=movement.amount_minor,
            )
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


def time_is_up(capture: RefundCaptured, leg: Pending, time: datetime) -> list[Output]:
    """The answer window or the back-off of a leg is over."""
    if isinstance(leg.at, Failed):
        return next_call(capture, leg, asking=False, time=time)
    if leg.attempt < leg.attempts_max:
        return next_call(capture, leg, asking=True, time=time)
    if leg.movement.leg == "capture":
        return [_given_up(leg)]
    return [review(leg, "no_answer", None)]


def settled(order: Order, event: PaymentSettled, now: datetime) -> list[Output]:
    """The money has moved, whatever was said before: a late answer counts as much as a prompt one."""
    leg = order.legs.get(event.payment_key.partition("~")[0])
    generation = generation_of(event.payment_key)
    if isinstance(leg, Unasked | None) or generation is None or generation > leg.movement.generation:
        return unasked(order, event, now)
    if leg.movement.leg == "capture":
        return unasked(order, event, now)  # captured it is, or not: nothing was to be moved
    as_asked = (event.amount_minor, event.currency) == (leg.movement.amount_minor, order.capture.currency)
    match leg:
        case Done():
            return settled_otherwise(order, leg, event)
        case Pending() if generation < leg.movement.generation or leg.returned_minor:
            return unasked(order, event, now, "settled_again")
        case Pending(at=InReview(reason="reversed")) if as_asked:
            return []  # told in the wrong order: it moved, and came back
        case Pending() if as_asked:
            return [done(order.capture, leg.movement, event.provider_reference)]
        case Pending(at=InReview()) if word(event) in order.heard:
            return []  # said before; to a call since then it is an answer, and a person looks again
        case Pending() if leg.spent:
            return unasked(order, event, now, "settled_again")
        case Pending():
            return [review(leg, "mismatch", event)]


@dataclass(frozen=True, slots=True)
class NamedFailure:
    """A failure, and the `ce_id` of the call that it names: of no other is it an answer."""

    event: PaymentFailed
    call: str


def failed(order: Order, failure: NamedFailure, time: datetime) -> list[Output]:
    capture, event = order.capture, failure.event
    leg = order.legs.get(event.payment_key.partition("~")[0])
    generation = generation_of(event.payment_key)
    if event.payment_key == order.capture_key and not isinstance(leg, Pending):
        return []  # to a question that is settled: the payment is captured, or nobody waits for it any more
    if isinstance(leg, Unasked | None) or generation is None or generation > leg.movement.generation:
        return unasked(order, event, time)
    if generation < leg.movement.generation:
        return []
    match leg:
        case Done():
            return failed_after_all(order, leg, event)  # whichever call it names: it has moved, and he says that not
        case Pending() if failure.call != call_id(SERVICE, capture.order_id, _call_name(leg.movement, leg.attempt)):
            return []  # nobody knows which call it is about, so the provider is asked when it is time
        case Pending(at=Called(asking=True)) if event.code == "unknown_key" and order.on_hold:
            return [_failure(leg, event, time)]  # sent again once it is on hold no more
        case Pending(at=Called(asking=True)) if event.code == "unknown_key":
            if leg.attempt < leg.attempts_max:
                return next_call(capture, leg, asking=False, time=time)
            if leg.movement.leg == "capture":
                return [_failure(leg, event, None)]
            return [review(leg, "attempts_used_up", event)]
        case Pending() if event.code == "unknown_key":
            return []  # said before, or to the movement itself
        case Pending(at=Called()) if leg.movement.leg == "capture" and (
            not event.retryable or leg.attempt == leg.attempts_max
        ):
            return [_failure(leg, event, None)]  # no person's business: it is paid in time, or the order is cancelled
        case Pending() if leg.movement.leg == "capture" and not isinstance(leg.at, Called):
            return []
        case Pending(at=Called() | Failed()) if not event.retryable:
            return [_failure(leg, event, None), review(leg, "final_failure", event)]
        case Pending(at=Called()) if leg.attempt == leg.attempts_max:
            return [_failure(leg, event, None), review(leg, "attempts_used_up", event)]
        case Pending(at=Called()):
            return [_failure(leg, event, time + back_off(leg.attempts_max - leg.attempt))]
        case Pending():
            return []  # said before: it waits for its next attempt or for the operator


def done(
    capture: RefundCaptured,
    movement: Movement,
    provider_reference: str,
    note: str | None = None,
    although_unknown: bool = False,
) -> DoneEvent:
    about: dict[str, Any] = {
        "settlement_id": movement.settlement_id,
        "provider_reference": provider_reference,
        "note": note,
        "although_unknown": although_unknown,
    }
    match movement.leg:
        case "refund":
            return RefundSettled(refund_minor=movement.amount_minor, buyer_id=capture.buyer_id, **about)
        case "payout" | "chargeback":
            moved = PaidOut if movement.leg == "payout" else ChargedBack
            return moved(amount_minor=movement.amount_minor, seller_id=capture.seller_id, **about)
        case "capture":
            raise ValueError("what is captured moves nothing: the payment service tells it by a word of its own (R61)")


def _given_up(leg: Pending) -> RefundFailed:
    """The payment service is asked no more about a capture; it may still tell it by itself."""
    return RefundFailed(
        settlement_id=leg.movement.settlement_id, leg=leg.movement.leg, code="no_answer", retryable=False, retry_at=None
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
