"""What the dispute service listens to: the judge of the lines, and the judge of the quarrel."""

from typing import get_args

from schemas.mediation.events import (
    MediationCancelled,
    MediationDecided,
    MediationDefaulted,
    MediationOfferAccepted,
    QuestionAnswered,
)
from schemas.order.events import FreezeRefused, LinesFrozen, Placed, ProtectionExtended, ProtectionShortened, Shipped

Foreign = (
    Placed  # whose order it is
    | LinesFrozen
    | FreezeRefused
    | Shipped  # a later parcel moves `disputable_until` (R66)
    | ProtectionShortened
    | ProtectionExtended  # receipt, which moves `disputable_until` too, is not confirmed while a line is disputed
    | MediationDecided
    | MediationDefaulted
    | MediationOfferAccepted
    | MediationCancelled
    | QuestionAnswered
)
SUBSCRIPTIONS: tuple[type[Foreign], ...] = get_args(Foreign)
