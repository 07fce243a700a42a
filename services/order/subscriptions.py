"""What the order service listens to: claims and how they end, refunds that arrived, payments that were captured."""

from typing import get_args

from schemas.dispute.events import DisputeClosed, DisputeRequested
from schemas.refund.events import RefundCaptured, RefundSettled

Foreign = DisputeRequested | DisputeClosed | RefundSettled | RefundCaptured
SUBSCRIPTIONS: tuple[type[Foreign], ...] = get_args(Foreign)
