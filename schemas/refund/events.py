"""What it says."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.payments.shapes import Leg
from schemas.refund.shapes import ReviewReason, Stage
from schemas.wire import STAMPED, Currency, Event, Id, Instant, Label, PositiveMinor, Rejected, Resumed, Text


class RefundEvent(Event):
    topic = "refund.events"

    settlement_id: Id
    leg: Leg
    currency: Currency = STAMPED
    stage: Stage = STAMPED


class PendingEvent(RefundEvent):
    """Of a movement that is not done yet."""

    amount_minor: PositiveMinor = STAMPED
    due_by: Annotated[Instant, Field(description="as promised when it was requested (R53); it never moves")] = STAMPED


class RefundRequested(PendingEvent):
    type = "refund.requested.v1"

    amount_minor: PositiveMinor
    due_by: Instant


class RefundSubmitted(PendingEvent):
    """The provider is called: with the movement, or, when it gave no answer, with the question what became of it."""

    type = "refund.submitted.v1"

    asking: bool = Field(description="a question about the movement, not the movement itself")
    attempt: Annotated[int, Field(ge=1)] = Field(description="questions count too")
    attempts_max: Annotated[int, Field(ge=1)] = Field(description="at this one a person is called; a retry raises it")
    answer_by: Instant = Field(description="without an answer by then the provider is asked")


class RefundFailed(PendingEvent):
    """The provider said no; the money has not moved."""

    type = "refund.failed.v1"

    code: Id
    retryable: bool
    message: str | None = None
    retry_at: Instant | None = Field(description="null: not by itself, a person must look")


class RefundOverdue(PendingEvent):
    """Not done by `due_by` (R53)."""

    type = "refund.overdue.v1"

    repeats_at: Instant = Field(description="when this will be said again")


class ReviewNeeded(PendingEvent):
    """A person must look: the operator's queue (N7)."""

    type = "refund.review_needed.v1"

    reason: ReviewReason


class DoneEvent(RefundEvent):
    """The money has moved. `note`: an operator said so, it went by other means."""

    provider_reference: Label
    note: Text | None = None


class RefundSettled(DoneEvent):
    """The buyer has his money."""

    type = "refund.settled.v1"

    leg: Literal["refund"] = "refund"
    refund_minor: PositiveMinor
    buyer_id: Id


class PaidOut(DoneEvent):
    """The seller has his money."""

    type = "refund.paid_out.v1"

    leg: Literal["payout"] = "payout"
    amount_minor: PositiveMinor
    seller_id: Id


class ChargedBack(DoneEvent):
    """The escrow has back, from the seller's balance, what it refunded or will refund (R7)."""

    type = "refund.charged_back.v1"

    leg: Literal["chargeback"] = "chargeback"
    amount_minor: PositiveMinor
    seller_id: Id


class RefundRejected(Rejected):
    type = "refund.rejected.v1"
    topic = "refund.events"


class RefundResumed(Resumed):
    type = "refund.resumed.v1"
    topic = "refund.events"
