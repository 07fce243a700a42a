"""What the refund service listens to, and which movements of money the order service's words ask for."""

from schemas.order.events import Cancelled, LinesReleased, Placed, Settled
from schemas.payments.events import PaymentFailed, PaymentSettled
from schemas.payments.shapes import Leg
from services.refund.movement import Captured, Movement

SUBSCRIPTIONS = (Placed, Cancelled, LinesReleased, Settled, PaymentSettled, PaymentFailed)


def capture(placed: Placed) -> Captured:
    return Captured(
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
