"""What the order service listens to: claims and how they end, and that a refund has arrived."""

from typing import get_args

from schemas.dispute.events import DisputeClosed, DisputeRequested
from schemas.refund.events import RefundSettled

Foreign = DisputeRequested | DisputeClosed | RefundSettled
SUBSCRIPTIONS: tuple[type[Foreign], ...] = get_args(Foreign)
