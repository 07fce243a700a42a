"""Goods on their way: back to the seller (R51), or anew to the buyer (C10)."""

from pydantic import Field

from schemas.common import Evidence, RemindAt, TrackingStatus
from schemas.dispute.events.claim import DisputeEvent
from schemas.dispute.shapes import ContestReason, Outcome
from schemas.example import BUYER, PHOTO, PLATFORM, SELLER, TO_CONFIRM, TO_LOOK_AT, TO_SEND_ANEW, TO_SEND_BACK, fields
from schemas.instants import Instant
from schemas.wire import Minor, PositiveMinor


class ReturnAwaited(DisputeEvent):
    """The buyer sends the goods back by `return_ship_by`, else the lines go to the seller (R51)."""

    type = "dispute.return_awaited.v1"
    example = fields(
        status="awaiting_return",
        deadlines=TO_SEND_BACK,
        basis="decided",
        refund_minor=900,
        return_ship_by="2026-04-24T11:05:00.000Z",
        remind_at="2026-04-21T23:05:00.000Z",
    )

    basis: Outcome = Field(description="why: what the dispute will be closed as once the goods are back")
    refund_minor: PositiveMinor = Field(description="once the goods are back, in minor units of the order's currency")
    return_ship_by: Instant = Field(description="the buyer ships at this instant at the latest")
    remind_at: RemindAt = None


class ReturnShipped(DisputeEvent):
    """The goods are on their way back. The seller confirms or contests by `return_confirm_by`; silence accepts
    (R51), unless the carrier says that they did not arrive (R71)."""

    type = "dispute.return_shipped.v1"
    example = fields(
        actor=BUYER,
        status="return_shipped",
        deadlines=TO_LOOK_AT,
        carrier="Post",
        tracking_number="RR123456785DE",
        return_confirm_by="2026-04-28T16:00:00.000Z",
        remind_at="2026-04-26T04:00:00.000Z",
    )

    carrier: str = Field(description="who carries the parcel")
    tracking_number: str = Field(description="the carrier's number of the parcel")
    return_confirm_by: Instant = Field(description="the seller answers at this instant at the latest")
    remind_at: RemindAt = None


class ReturnTrackingCorrected(DisputeEvent):
    """The return travels under another number than was said; no clock is moved by that (R71)."""

    type = "dispute.return_tracking_corrected.v1"
    example = fields(
        actor=BUYER,
        status="return_shipped",
        deadlines=TO_LOOK_AT,
        carrier="Post",
        tracking_number="RR123456794DE",
        return_confirm_by="2026-04-28T16:00:00.000Z",
    )

    carrier: str = Field(description="who carries the parcel")
    tracking_number: str = Field(description="the carrier's number of the parcel")
    return_confirm_by: Instant = Field(description="the seller answers at this instant at the latest, as before")


class ReturnReported(DisputeEvent):
    """What the carrier says happened (named apart from the dispute's own `status`)."""

    type = "dispute.return_reported.v1"
    example = fields(
        actor=PLATFORM,
        status="return_shipped",
        deadlines=TO_LOOK_AT,
        tracking_status="delivered",
        at="2026-03-16T10:20:00.000Z",
        return_confirm_by="2026-04-28T16:00:00.000Z",
        remind_at="2026-04-26T04:00:00.000Z",
    )

    tracking_status: TrackingStatus = Field(description="where the return is")
    at: Instant = Field(description="when that was, as the carrier says")
    return_confirm_by: Instant = Field(description="moved once: anew from the first `delivered` (R51)")
    remind_at: RemindAt = None


class ReturnReceived(DisputeEvent):
    """The seller has the goods back; the dispute is closed and the buyer refunded (R51)."""

    type = "dispute.return_received.v1"
    example = fields(actor=SELLER, status="return_shipped", deadlines=TO_LOOK_AT, silent=False)

    silent: bool = Field(description="the seller said nothing in time, which accepts (R51)")


class ReturnContested(DisputeEvent):
    """The seller says that what came back is wrong. `dispute.escalated` follows: a mediator judges (R51)."""

    type = "dispute.return_contested.v1"
    example = fields(
        actor=SELLER, status="in_mediation", reason="empty", description="The parcel held a brick.", evidence=[PHOTO]
    )

    reason: ContestReason = Field(description="what is wrong with the return")
    description: str = Field(description="what happened, in the seller's words")
    evidence: tuple[Evidence, ...]


class ReplacementAwaited(DisputeEvent):
    """If no parcel is shipped in time `refund_minor` is refunded (C10)."""

    type = "dispute.replacement_awaited.v1"
    example = fields(
        actor=BUYER,
        status="awaiting_replacement",
        deadlines=TO_SEND_ANEW,
        basis="offer_accepted",
        refund_minor=900,
        replacement_ship_by="2026-04-24T11:05:00.000Z",
        remind_at="2026-04-21T23:05:00.000Z",
    )

    basis: Outcome = Field(description="why: what the dispute will be closed as if nothing is shipped")
    refund_minor: Minor = Field(description="if nothing is shipped, in minor units of the order's currency")
    replacement_ship_by: Instant = Field(description="the seller ships at this instant at the latest")
    remind_at: RemindAt = None


class ReplacementShipped(DisputeEvent):
    """A new parcel is on its way. By `replacement_confirm_by` the buyer confirms or escalates; silence confirms
    (C10)."""

    type = "dispute.replacement_shipped.v1"
    example = fields(
        actor=SELLER,
        status="replacement_shipped",
        deadlines=TO_CONFIRM,
        carrier="Post",
        tracking_number="RR123456785DE",
        replacement_confirm_by="2026-06-17T16:00:00.000Z",
        remind_at="2026-06-02T16:00:00.000Z",
    )

    carrier: str = Field(description="who carries the parcel")
    tracking_number: str = Field(description="the carrier's number of the parcel")
    replacement_confirm_by: Instant = Field(description="the buyer answers at this instant at the latest")
    remind_at: RemindAt = None
