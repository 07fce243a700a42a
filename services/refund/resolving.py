"""The conversation with an operator who says what really moved: that is booked, no more and no less (N7, R62)."""

from datetime import datetime
from typing import Any

from schemas.refund.commands import ResolveRefund
from schemas.refund.events import MovedInPart, MovedTooMuch, ReviewNeeded
from services.refund.calling import UNANSWERED, call_by_hand, done
from services.refund.movement import Movement
from services.refund.reviewing import party
from services.refund.states import Called, InReview, Order, Pending, rest_of
from shared.kernel.decider import Output, Refusal

IN_WHICH_AMOUNT = Refusal("invalid", "What moved under this reference was another currency: say amount_minor.")


def resolved(order: Order, leg: Pending, command: ResolveRefund, now: datetime) -> list[Output]:
    """Of less than was to be moved the rest goes on under the next key. What is more than that is no part of the
    movement: it is nobody's due, and waits for a person."""
    owed = leg.owed
    moved_minor = _moved_minor(order, owed, command)
    if moved_minor is None:
        return [IN_WHICH_AMOUNT]
    if leg.movement.leg == "capture":
        return [Refusal("wrong_state", "Only the payment service says that a payment is captured.")]
    may_still_move = isinstance(leg.at, Called) or leg.at == InReview("no_answer")
    if may_still_move and not command.although_unknown:
        return [UNANSWERED]
    if moved_minor < owed.amount_minor:
        return _in_part(order, leg, moved_minor, command, may_still_move, now)
    if moved_minor == owed.amount_minor:
        return [done(order.capture, owed, command.provider_reference, command.note, may_still_move)]
    if not (references := _said(order, owed, moved_minor)):
        return [
            Refusal(
                "amount_exceeds",
                "This is more than was to be moved, and the payment service has not said so.",
                {"max_minor": owed.amount_minor},
            )
        ]
    reference = command.provider_reference if command.provider_reference in references else references[0]
    settled = done(order.capture, owed, reference, although_unknown=may_still_move)  # by no other means
    return [settled, *_too_much(order, owed, moved_minor - owed.amount_minor, reference, command.note)]


def _moved_minor(order: Order, movement: Movement, command: ResolveRefund) -> int | None:
    """As the operator says; else as the provider says of the movement that he names; else all of it. None: that one was
    in another currency."""
    if command.amount_minor is not None:
        return command.amount_minor
    named = "settled", movement.payment_key, command.provider_reference
    moved = {one[2:4] for one in order.heard if (*one[:2], one.name) == named}
    amounts = [minor for minor, currency in moved if currency == order.capture.currency]
    if len(amounts) == 1:
        return amounts[0]
    return None if moved else movement.amount_minor


def _said(order: Order, movement: Movement, amount_minor: int) -> list[str]:
    """As what the provider says that so much has moved. Without his word a slip of the operator's pen would become an
    advance that nobody has."""
    wanted = "settled", movement.payment_key, amount_minor, order.capture.currency
    return sorted(one.name for one in order.heard if one[:4] == wanted)


def _in_part(
    order: Order, leg: Pending, moved_minor: int, command: ResolveRefund, may_still_move: bool, now: datetime
) -> list[Output]:
    owed = leg.owed
    part = MovedInPart(
        settlement_id=owed.settlement_id,
        leg=owed.leg,
        amount_minor=moved_minor,
        rest_minor=owed.amount_minor - moved_minor,
        payment_key=owed.payment_key,
        provider_reference=command.provider_reference,
        note=command.note,
        although_unknown=may_still_move,
        party_id=party(order, owed),
    )
    return [part, *([] if order.on_hold else call_by_hand(order.capture, rest_of(leg, moved_minor), now))]


def _too_much(order: Order, movement: Movement, excess_minor: int, reference: str, note: str) -> list[Output]:
    about: dict[str, Any] = {
        "settlement_id": movement.settlement_id,
        "leg": movement.leg,
        "payment_key": movement.payment_key,
        "provider_reference": reference,
    }
    return [
        MovedTooMuch(amount_minor=excess_minor, note=note, party_id=party(order, movement), **about),
        ReviewNeeded(
            reason="moved_too_much",
            provider_said="settled",
            provider_amount_minor=movement.amount_minor + excess_minor,
            provider_currency=order.capture.currency,
            **about,
        ),
    ]
