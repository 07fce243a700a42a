"""The conversation with the order service: which movements of money its words ask for (R22, R53)."""

from collections.abc import Iterable
from datetime import datetime

from schemas.order.events import Cancelled, LinesCancelled, LinesRefunded, LinesReleased, Placed, Settled
from schemas.payments.shapes import Leg
from schemas.refund.events import RefundCaptured, RefundRequested
from services.refund.calling import first_call
from services.refund.movement import CaptureAwaited, Commission, CommissionReturned, CommissionTaken, Movement
from shared.kernel.decider import Output
from shared.kernel.policies import Policies
from shared.rules.calendar import after

Settlement = Cancelled | LinesCancelled | LinesRefunded | LinesReleased | Settled
"""What the order service wants moved."""


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


def movements(event: Settlement) -> tuple[Movement, ...]:
    """The legs above 0; none waits for another."""
    amounts: dict[Leg, int]
    match event:
        case Cancelled() | LinesCancelled() | LinesRefunded():
            amounts = {"refund": event.refund_minor}
        case LinesReleased():
            amounts = {"payout": event.release_minor - event.commission_minor}
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


def commission(event: Settlement) -> Commission | None:
    """The platform's part of it; None: it has none (R69)."""
    if not isinstance(event, LinesReleased | Settled):
        return None
    returned = event.commission_returned_minor if isinstance(event, Settled) else 0
    if not event.commission_minor and not returned:
        return None
    return Commission(settlement_id=event.settlement_id, taken_minor=event.commission_minor, returned_minor=returned)


def book(captured: RefundCaptured, commissions: Iterable[Commission]) -> list[Output]:
    """Nobody is called: it is an entry of the ledger at once."""
    booked: list[Output] = []
    for one in commissions:
        for model, minor in ((CommissionTaken, one.taken_minor), (CommissionReturned, one.returned_minor)):
            if minor:
                booked.append(model(settlement_id=one.settlement_id, currency=captured.currency, amount_minor=minor))
    return booked


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
        outputs += [requested] if on_hold else first_call(captured, requested, movement, now)
    return outputs
