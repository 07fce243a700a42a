"""What it says."""

from typing import Any, Literal

from pydantic import Field

from schemas.common import Evidence, FrozenLine, Offer, Party, PolicyRef, Reason, Terms, TrackingStatus
from schemas.dispute.shapes import (
    ChosenLine,
    ContestReason,
    DisputeStatus,
    FiledEvidence,
    OfferNumber,
    Outcome,
    Round,
    Side,
)
from schemas.wire import STAMPED, Code, Currency, Event, Id, Instant, Minor, PositiveMinor, Rejected, Resumed


class DisputeEvent(Event):
    """`status` says where the dispute stands after it."""

    topic = "dispute.events"

    dispute_id: Id
    status: DisputeStatus = STAMPED


class DisputeRequested(DisputeEvent):
    """The buyer's claim, in time if `received_at` is: the order service judges by that (R0)."""

    type = "dispute.requested.v1"

    lines: tuple[ChosenLine, ...] | None = Field(default=None, description="null: all that may be disputed")
    received: bool
    reason: Reason
    description: str
    terms: Terms
    evidence: tuple[Evidence, ...] = ()
    received_at: Instant


class DisputeOpened(DisputeEvent):
    """The lines are frozen; the three clocks run from now (C1)."""

    type = "dispute.opened.v1"

    lines: tuple[FrozenLine, ...]
    claimed_minor: PositiveMinor = Field(description="the most that can be refunded (R18b)")
    terms: Terms
    offer_id: OfferNumber
    seller_answer_by: Instant
    escalatable_from: Instant | None = Field(description="null: never by hand")
    escalates_at: Instant
    disputable_until: Instant
    buyer: Party
    seller: Party
    currency: Currency
    policy: PolicyRef


class OpenRefused(DisputeEvent):
    """The lines may not be disputed (or not on these terms); final for this `dispute_id`."""

    type = "dispute.open_refused.v1"

    code: Code
    message: str
    details: dict[str, Any] | None = None


class DisputeModified(DisputeEvent):
    """What changed; new terms follow as an offer of their own."""

    type = "dispute.modified.v1"

    reason: Reason | None = None
    received: bool | None = None
    description: str | None = None
    terms: Terms | None = None
    evidence: tuple[Evidence, ...] = ()


class EvidenceAdded(DisputeEvent):
    type = "dispute.evidence_added.v1"

    by: Side
    evidence: tuple[Evidence, ...]
    unsolicited: bool = Field(default=False, description="given in mediation without having been asked (R58)")


class MessageSent(DisputeEvent):
    type = "dispute.message_sent.v1"

    by: Side
    text: str


class OfferMade(DisputeEvent):
    """Replaces the open offer of the same side. The clocks are given as they stand after it."""

    type = "dispute.offer_made.v1"

    offer_id: OfferNumber
    by: Side
    terms: Terms
    message: str | None = None
    seller_answer_by: Instant | None = Field(description="null: the seller has answered")
    escalatable_from: Instant | None = Field(description="null: never by hand")


class OfferAccepted(DisputeEvent):
    """`by` accepted the other side's offer, here or in mediation; final (R21, R22)."""

    type = "dispute.offer_accepted.v1"

    offer_id: OfferNumber
    by: Side
    terms: Terms


class DisputeEscalated(DisputeEvent):
    """From here on mediation alone judges (R37).

    `offers` are all that are open now, of any earlier round too: the claim, which is the buyer's one, and the
    seller's if he made one. After a contested return the claim asks for no second return.
    """

    type = "dispute.escalated.v1"

    round: Round
    by: Literal["buyer", "system"]
    cause: Literal["rejected", "window", "no_agreement", "seller_silent", "return_contested", "replacement_failed"]
    statement: str | None = None
    buyer: Party
    seller: Party
    policy: PolicyRef
    claimed_minor: PositiveMinor
    offers: tuple[Offer, ...]
    last_offer_id: OfferNumber = Field(description="the numbering of offers goes on from here")
    evidence_ids: tuple[Id, ...] = Field(default=(), description="all that were filed so far, by either party")
    filed: tuple[FiledEvidence, ...] = Field(default=(), description="the same, each with who showed it")


class ReturnAwaited(DisputeEvent):
    type = "dispute.return_awaited.v1"

    basis: Outcome = Field(description="why: what the dispute will be closed as once the goods are back")
    refund_minor: PositiveMinor
    return_ship_by: Instant


class ReturnShipped(DisputeEvent):
    type = "dispute.return_shipped.v1"

    carrier: str
    tracking_number: str
    return_confirm_by: Instant


class ReturnReported(DisputeEvent):
    """What the carrier says happened (named apart from the dispute's own `status`)."""

    type = "dispute.return_reported.v1"

    tracking_status: TrackingStatus
    at: Instant
    return_confirm_by: Instant


class ReturnReceived(DisputeEvent):
    type = "dispute.return_received.v1"

    silent: bool = Field(description="the seller said nothing in time, which accepts (R51)")


class ReturnContested(DisputeEvent):
    type = "dispute.return_contested.v1"

    reason: ContestReason
    description: str
    evidence: tuple[Evidence, ...]


class ReplacementAwaited(DisputeEvent):
    """If no parcel is shipped in time `refund_minor` is refunded (C10)."""

    type = "dispute.replacement_awaited.v1"

    basis: Outcome = Field(description="why: what the dispute will be closed as if nothing is shipped")
    refund_minor: PositiveMinor
    replacement_ship_by: Instant


class ReplacementShipped(DisputeEvent):
    type = "dispute.replacement_shipped.v1"

    carrier: str
    tracking_number: str
    replacement_confirm_by: Instant


class DisputeDecided(DisputeEvent):
    """The money stays put until `appeal_until` (C4)."""

    type = "dispute.decided.v1"

    round: Round
    refund_minor: Minor
    release_minor: Minor
    return_required: bool
    by: Literal["mediator", "default"]
    cause: Literal["buyer_silent", "seller_silent", "mediation_max"] | None = Field(description="of a default")
    appeal_until: Instant | None = Field(description="null: final")


class DisputeAppealed(DisputeEvent):
    """The one second review; its verdict is final."""

    type = "dispute.appealed.v1"

    round: Round
    by: Side
    explanation: str
    evidence: tuple[Evidence, ...] = ()
    filed: tuple[FiledEvidence, ...] = Field(default=(), description="all that were filed so far, these too")


class AppealWaived(DisputeEvent):
    type = "dispute.appeal_waived.v1"

    by: Side


class DisputeCancelled(DisputeEvent):
    type = "dispute.cancelled.v1"

    reopenable_until: Instant | None = Field(description="null: the lines are the seller's, final (R31)")


class DisputeClosed(DisputeEvent):
    """`refund_minor` + `release_minor` are the disputed lines; both 0 when they go back to what they were (R30)."""

    type = "dispute.closed.v1"

    outcome: Outcome
    refund_minor: Minor
    release_minor: Minor
    final: bool


class DisputeRejected(Rejected):
    type = "dispute.rejected.v1"
    topic = "dispute.events"

    dispute_id: Id | None = STAMPED
    status: DisputeStatus | None = STAMPED


class DisputeResumed(Resumed):
    type = "dispute.resumed.v1"
    topic = "dispute.events"
