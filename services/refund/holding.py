"""The conversation with operators about all the money of an order: none is sent while it is on hold (R63)."""

from datetime import datetime

from schemas.payments.events import PaymentReversed
from schemas.refund.commands import HoldMoney, UnholdMoney
from schemas.refund.events import MoneyHeld, MoneyUnheld, ReviewNeeded
from services.refund.calling import call_by_hand
from services.refund.reviewing import facts, word
from services.refund.states import Order, Pending, Requested
from shared.kernel.decider import Output, Refusal
from shared.rules.refusals import who_may

ON_HOLD = Refusal("wrong_state", "The money of this order is on hold: nothing of it is sent.")


def obey(order: Order, command: HoldMoney | UnholdMoney, now: datetime) -> list[Output]:
    if refusal := who_may(command, {}):
        return [refusal]
    match command:
        case HoldMoney() if order.on_hold:
            return [Refusal("wrong_state", "The money of this order is on hold already.")]
        case HoldMoney():
            return [MoneyHeld(cause="operator", reason=command.reason)]
        case UnholdMoney() if not order.on_hold:
            return [Refusal("wrong_state", "The money of this order is not on hold.")]
        case UnholdMoney():
            waiting = [leg for leg in order.legs.values() if isinstance(leg, Pending) and leg.at == Requested()]
            calls = [said for leg in waiting for said in call_by_hand(order.capture, leg, now)]
            return [MoneyUnheld(reason=command.reason), *calls]


def takes_the_payment_back(order: Order, event: PaymentReversed) -> bool:
    """The buyer's bank: his payment, not a movement of ours."""
    capture = order.capture
    if not order.is_captured:
        return False
    return event.payment_id == capture.payment_id or event.payment_key == order.capture_key


def taken_back(order: Order, event: PaymentReversed, now: datetime) -> list[Output]:
    """Until somebody has looked nothing more is sent. Whose loss it is the bank has not decided yet: the books stay."""
    if word(event) in order.heard:
        return []
    review = ReviewNeeded(
        settlement_id=order.capture.order_id,
        leg="capture",
        reason="bank_chargeback",
        amount_minor=event.amount_minor,
        currency=event.currency,
        due_by=now,
        **facts(event),
    )
    if order.on_hold:
        return [review]
    return [MoneyHeld(cause="bank_chargeback", reason="The buyer's bank took his payment back."), review]
