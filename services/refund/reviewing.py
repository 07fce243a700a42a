"""What the payment provider says and nobody expected: kept with all that he said, and brought before a person (R62).

What certainly came back is booked so at once. Where his words contradict each other, an operator decides what is true,
and the books follow him.
"""

from datetime import datetime
from typing import Any

from schemas.payments.events import PaymentCaptured, PaymentFailed, PaymentReversed, PaymentSettled
from schemas.refund.commands import AcknowledgeReview
from schemas.refund.events import ExcessReturned, RefundReversed, ReviewAcknowledged, ReviewNeeded
from schemas.refund.shapes import ReviewReason
from services.refund.movement import Movement, generation_of
from services.refund.states import Done, Doubt, InReview, Order, Pending, State, Unasked, UnplacedOrder, Word
from shared.kernel.decider import Output, Refusal
from shared.kernel.policies import Policies
from shared.rules.calendar import after

NO_CURRENCY = "X" * 3
"""ISO 4217's own code for none, for a failure names no money; written out it would read as a note of work to do."""
NOBODY_ASKED = Refusal("wrong_state", "Nobody asked for this money: once you know what it is, acknowledge it.")
AS_BOOKED = Refusal(
    "wrong_state", "The books have this money as moved: once you know that they are right, acknowledge."
)

Unexpected = PaymentSettled | PaymentFailed | PaymentReversed | PaymentCaptured


def facts(event: Unexpected) -> dict[str, Any]:
    """What the provider said, as a review tells it."""
    if isinstance(event, PaymentFailed):
        return {"provider_said": "failed", "payment_key": event.payment_key, "code": event.code}
    if isinstance(event, PaymentCaptured):
        money = {"provider_amount_minor": event.amount_minor, "provider_currency": event.currency}
        return {"provider_said": "captured", "payment_id": event.payment_id} | money
    about: dict[str, Any] = {
        "payment_key": event.payment_key,
        "provider_amount_minor": event.amount_minor,
        "provider_currency": event.currency,
        "provider_reference": event.provider_reference,
    }
    if isinstance(event, PaymentReversed):
        return about | {"provider_said": "reversed", "payment_id": event.payment_id, "cause": event.cause}
    return about | {"provider_said": "settled"}


def word(event: Unexpected) -> Word:
    match event:
        case PaymentCaptured():
            return Word("captured", event.payment_id, event.amount_minor, event.currency, "")
        case PaymentFailed():
            return Word("failed", event.payment_key, 0, "", event.code)
        case PaymentSettled():
            return Word("settled", event.payment_key, event.amount_minor, event.currency, event.provider_reference)
        case PaymentReversed():
            of = event.payment_key or event.payment_id or ""
            return Word("reversed", of, event.amount_minor, event.currency, event.provider_reference)


def unasked(
    state: State | None,
    event: Unexpected,
    now: datetime,
    reason: ReviewReason = "unasked",
) -> list[Output]:
    """It fits no movement of this order, or not as that stands: it waits for a person by itself, once a word."""
    state = state or UnplacedOrder()
    if word(event) in state.heard:
        return []
    number = sum(isinstance(leg, Unasked) for leg in state.legs.values()) + 1
    amount_minor, currency = (
        (0, NO_CURRENCY) if isinstance(event, PaymentFailed) else (event.amount_minor, event.currency)
    )
    review = ReviewNeeded(
        settlement_id=f"unasked-{number}",
        leg="unasked",
        reason=reason,
        amount_minor=amount_minor,
        currency=currency,
        due_by=now,
        **facts(event),
    )
    return [review]


def settled_otherwise(order: Order, leg: Done, event: PaymentSettled) -> list[Output]:
    """Perhaps paid twice, by the provider or by it and an operator: nothing here can undo that."""
    return [] if word(event) in order.heard else [review(leg, "settled_again", event)]


def failed_after_all(order: Order, leg: Done, event: PaymentFailed) -> list[Output]:
    """He had said that it moved. Which is true a person finds out; until then the books stay as they are."""
    if leg.by_hand or event.retryable or event.code == "unknown_key" or word(event) in order.heard:
        return []
    return [review(leg, "failed_after_settlement", event, cause="failed")]


def reversed_(order: Order, event: PaymentReversed, now: datetime, policies: Policies) -> list[Output]:
    """Money came back. What fits the books is booked, what does not is kept."""
    if word(event) in order.heard:
        return []
    leg = order.legs.get((event.payment_key or "").partition("~")[0])
    if event.payment_key is None or isinstance(leg, Unasked | None):
        return unasked(order, event, now)
    generation, moved = generation_of(event.payment_key), leg.movement
    ours = event.currency == order.capture.currency
    same = ours and generation == moved.generation
    stands = ours and event.amount_minor <= leg.standing.get(event.payment_key, 0)
    match leg:
        case Done() if same and event.amount_minor <= leg.excess_minor:
            return [_excess_returned(order, leg, event.amount_minor, event.provider_reference)]
        case Done() if same and event.amount_minor <= moved.amount_minor + leg.excess_minor and not leg.by_hand:
            if _has_moved_twice(order, leg):
                return [review(leg, "reversed", event)]
            returned, minor = _excess_first(order, leg, event.amount_minor, event.provider_reference)
            back = came_back(order, leg, minor, event.cause, event.provider_reference, now, policies)
            return [*returned, back, review(leg, "reversed", event)]
        case Done() if stands and not same:  # of a movement before this one, all of which did not come back then
            back = came_back(
                order, leg, event.amount_minor, event.cause, event.provider_reference, now, policies, event.payment_key
            )
            return [back, review(leg, "reversed", event)]
        case Done() if generation == moved.generation:
            return [review(leg, "wrong_reference", event, cause=None)]
        case Pending() if stands and leg.returned_minor:
            back = came_back(
                order, leg, event.amount_minor, event.cause, event.provider_reference, now, policies, event.payment_key
            )
            return [back, review(leg, "reversed", event)]
        case Pending() if same and event.amount_minor == moved.amount_minor and not leg.spent:
            return [review(leg, "reversed", event)]
    return unasked(order, event, now, "unasked" if generation is None else "wrong_reference")


def party(order: Order, movement: Movement) -> str:
    """To whom, or from whom, it moves."""
    return order.capture.buyer_id if movement.leg == "refund" else order.capture.seller_id


def _has_moved_twice(order: Order, leg: Done) -> bool:
    """By the provider's word: which of them came back?"""
    key, booked = leg.movement.payment_key, leg.provider_reference
    return any(one.said == "settled" and one.of == key and one.name != booked for one in order.heard)


def _excess_first(order: Order, leg: Done, amount_minor: int, reference: str) -> tuple[list[ExcessReturned], int]:
    """Of what came back the part that was nobody's due, and how much of it is owed again."""
    excess_minor = min(leg.excess_minor, amount_minor)
    returned = [_excess_returned(order, leg, excess_minor, reference)] if excess_minor else []
    return returned, amount_minor - excess_minor


def _excess_returned(order: Order, leg: Done, amount_minor: int, reference: str) -> ExcessReturned:
    return ExcessReturned(
        settlement_id=leg.movement.settlement_id,
        leg=leg.movement.leg,
        amount_minor=amount_minor,
        payment_key=leg.movement.payment_key,
        provider_reference=reference,
        party_id=party(order, leg.movement),
    )


def came_back(
    order: Order,
    leg: Pending | Done,
    amount_minor: int,
    cause: Any,
    reference: str,
    now: datetime,
    policies: Policies,
    payment_key: str | None = None,
) -> RefundReversed:
    """`payment_key`: of a movement before the leg's newest."""
    policy = policies.of(order.capture.policy)
    return RefundReversed(
        settlement_id=leg.movement.settlement_id,
        leg=leg.movement.leg,
        amount_minor=amount_minor,
        payment_key=payment_key or leg.movement.payment_key,
        cause=cause,
        provider_reference=reference,
        party_id=party(order, leg.movement),
        repeats_at=max(leg.due_by, after(now, policy.refund_due, policy)),
    )


def doubted(
    order: Order, leg: Done, now: datetime, policies: Policies
) -> tuple[list[ExcessReturned], RefundReversed] | Refusal:
    """An operator takes it that what the provider said came back did: now it is booked."""
    match leg.doubt:
        case None:
            return Refusal("wrong_state", "this money has already moved")
        case Doubt(returned_minor=0):
            return AS_BOOKED
        case Doubt() as doubt:
            reference = doubt.reference or leg.provider_reference
            returned, minor = _excess_first(order, leg, doubt.returned_minor, reference)
            return returned, came_back(order, leg, minor, doubt.cause, reference, now, policies)


def acknowledged(leg: Pending | Done | Unasked, command: AcknowledgeReview) -> Output:
    """An operator has looked: the books are right."""
    match leg:
        case Done(doubt=Doubt()) | Unasked(is_open=True):
            return ReviewAcknowledged(settlement_id=command.settlement_id, leg=command.leg, note=command.note)
        case Pending(at=InReview()):
            return Refusal("wrong_state", "This money is still to be moved: have it tried again, or resolve it.")
        case _:
            return Refusal("wrong_state", "Nothing of this waits for a person.")


def review(
    leg: Pending | Done,
    reason: ReviewReason,
    event: PaymentSettled | PaymentFailed | PaymentReversed | None,
    **more: Any,
) -> ReviewNeeded:
    told = facts(event) if event else {}
    return ReviewNeeded(settlement_id=leg.movement.settlement_id, leg=leg.movement.leg, reason=reason, **(told | more))
