"""What its messages are made of."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.common import CLOCKS, ClockEndsAt, LineId, Reason
from schemas.wire import Id, Shape

DisputeStatus = Literal[
    "requested",
    "awaiting_seller",
    "negotiating",
    "in_mediation",
    "decided",
    "awaiting_return",
    "return_shipped",
    "awaiting_replacement",
    "replacement_shipped",
    "closed",
]

DisputeDeadline = Literal[
    "seller_first_response",
    "auto_escalation",
    "return_ship",
    "return_confirm",
    "replacement_ship",
    "replacement_confirm",
    "appeal_window",
    "reminder",
]
"""Those of one instant happen in this order (§8)."""

Outcome = Literal[
    "offer_accepted",
    "seller_silent",
    "decided",
    "buyer_silent",
    "cancelled",
    "arbitration_cancelled",
    "return_not_shipped",
    "replaced",
]

EscalationCause = Literal[
    "rejected",
    "window",
    "no_agreement",
    "seller_silent",
    "return_contested",
    "return_not_delivered",
    "replacement_failed",
]

Side = Literal["buyer", "seller"]

ContestReason = Literal["not_received", "damaged", "empty", "wrong_item", "missing_items"]

OfferNumber = Annotated[int, Field(ge=1, description="numbered per dispute; the claim itself is offer 1")]

Round = Annotated[int, Field(ge=1, description="every escalation or appeal starts the next one")]

ClaimReason = Annotated[Reason, Field(description="why the buyer disputes; `received` decides which he has (R11)")]

REASONS_NOT_RECEIVED: frozenset[Reason] = frozenset({"not_received", "late", "wrong_tracking", "seller_did_not_ship"})
"""All other reasons say that something did arrive (R10, R11)."""


class DisputeClock(Shape):
    """A deadline of a dispute that runs."""

    name: DisputeDeadline = Field(
        description="what happens then. `seller_first_response`: the silent seller has granted the claim, or it goes "
        "to a mediator (C2); `auto_escalation`: it goes to a mediator (C2); `return_ship`: the goods are not on their "
        "way, the money is the seller's (R51); `return_confirm`: the silent seller has them back, the buyer is "
        "refunded (R51, R71); `replacement_ship`: no new parcel is on its way, the buyer is refunded (C10); "
        "`replacement_confirm`: the silent buyer has it, the money is the seller's (C10); `appeal_window`: the "
        "decision is final (C4); `reminder`: who would lose by another of these is reminded (R68)"
    )
    at: ClockEndsAt


DisputeClocks = Annotated[tuple[DisputeClock, ...] | None, Field(description=CLOCKS)]


class FiledEvidence(Shape):
    """Who showed a file: nobody else supersedes it (R58)."""

    evidence_id: Id = Field(description="of the file, as it was shown")
    by: Side = Field(description="its owner")


class ChosenLine(Shape):
    """Without a quantity the whole line."""

    line_id: LineId
    quantity: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="pieces that the claim is about; null: all of the line (R18)"
    )
