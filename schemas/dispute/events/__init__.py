"""What it says."""

from schemas.dispute.events.answers import DisputeRejected, DisputeResumed
from schemas.dispute.events.claim import (
    DisputeEvent,
    DisputeModified,
    DisputeOpened,
    DisputeRequested,
    EvidenceAdded,
    MessageSent,
    OfferAccepted,
    OfferMade,
    OpenRefused,
)
from schemas.dispute.events.ending import (
    AppealWaived,
    DisputeAppealed,
    DisputeCancelled,
    DisputeClosed,
    DisputeDecided,
    DisputeEscalated,
)
from schemas.dispute.events.goods import (
    ReplacementAwaited,
    ReplacementShipped,
    ReturnAwaited,
    ReturnContested,
    ReturnReceived,
    ReturnReported,
    ReturnShipped,
)

__all__ = [
    "AppealWaived",
    "DisputeAppealed",
    "DisputeCancelled",
    "DisputeClosed",
    "DisputeDecided",
    "DisputeEscalated",
    "DisputeEvent",
    "DisputeModified",
    "DisputeOpened",
    "DisputeRejected",
    "DisputeRequested",
    "DisputeResumed",
    "EvidenceAdded",
    "MessageSent",
    "OfferAccepted",
    "OfferMade",
    "OpenRefused",
    "ReplacementAwaited",
    "ReplacementShipped",
    "ReturnAwaited",
    "ReturnContested",
    "ReturnReceived",
    "ReturnReported",
    "ReturnShipped",
]
