"""The conversation with the order service: which movements of money its words ask for (R22, R53)."""

from collections.abc import Iterable
from datetime import datetime

from schemas.order.events import Cancelled, LinesReleased, Placed, Settled
from schemas.payments.shapes import Leg
from schemas.refund.events import RefundCaptured, RefundRequested
from services.refund.calling import first_call
from services.refund.states import CaptureAwaited, Movement
from shared.kernel.decider import Output
from shared.kernel.policies import Policies
from shared.rules.calendar import after


def capture(placed: Placed) -> RefundCaptured | CaptureAwaited:
    """A fact, if the platform is trusted with it; else the payment service is to say so (R61)."""
    return (RefundCaptured if placed.payment_by is None else CaptureAwaited)(
        order_id=placed.order_id,
        payment_id=placed.payment.payment_id,
        amount_minor=placed.payment.amount_minor,
        currency=placed.currency,
        buyer_id=placed.buyer.id,
        seller_id=placed.seller.id,
        policy=placed.policy,
    )


def movements(event: Cancelled | LinesReleased | Settled) -> tuple[Movement, ...]:
    """The legs above 0; none waits for another."""
    amounts: dict[Leg, int]
    match event:
        case Cancelled():
            amounts = {"refund": event.refund_minor}
        case LinesReleased():
            amounts = {"payout": event.release_minor}
        case Settled():
            amounts = {
                "refund": event.refund_minor,
                "payout": event.payout_minor,
                "chargeback": event.chargeback_minor,
            }
    return tuple(
        Movement(settlement_id=event.settlement_id, leg=leg, amount_minor=amount_minor)
        for leg, amount_minor in amounts.items()
        if amount_minor > 0
    )


def request(
    captured: RefundCaptured, new: Iterable[Movement], now: datetime, policies: Policies, *, on_hold: bool = False
) -> list[Output]:
    """Each is called in the same breath, unless the money is on hold."""
    policy = policies.of(captured.policy)
    outputs: list[Output] = []
    for movement in new:
        requested = RefundRequested(
            settlement_id=movement.settlement_id,
            leg=movement.leg,
            amount_minor=movement.amount_minor,
            due_by=after(now, policy.refund_due, policy),
        )
        outputs += [requested, *([] if on_hold else first_call(captured, movement, now))]
    return outputs
