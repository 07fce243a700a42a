"""What the refund service listens to: the judge of held money, and the payment provider."""

from typing import get_args

from schemas.order.events import Cancelled, LinesCancelled, LinesRefunded, LinesReleased, Placed, Settled
from schemas.payments.events import PaymentCaptured, PaymentFailed, PaymentReversed, PaymentSettled

Foreign = (
    Placed
    | Cancelled
    | LinesCancelled
    | LinesRefunded
    | LinesReleased
    | Settled
    | PaymentSettled
    | PaymentFailed
    | PaymentReversed
    | PaymentCaptured
)
SUBSCRIPTIONS: tuple[type[Foreign], ...] = get_args(Foreign)
