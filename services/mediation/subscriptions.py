"""What the mediation service listens to: disputes that come to it, and what is filed with them meanwhile."""

from typing import get_args

from schemas.dispute.events import DisputeAppealed, DisputeEscalated, EvidenceAdded

Foreign = DisputeEscalated | DisputeAppealed | EvidenceAdded
SUBSCRIPTIONS: tuple[type[Foreign], ...] = get_args(Foreign)
