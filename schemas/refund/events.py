"""What it says."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.common import SettlementId
from schemas.example import OPERATOR, fields
from schemas.instants import Instant
from schemas.refund.shapes import MovementLeg, ProviderReference, ReviewReason, Stage
from schemas.wire import STAMPED, Currency, Event, Id, PersonId, PositiveMinor, Rejected, Repeated, Resumed, Text

SellerId = Annotated[PersonId, Field(description="whose money it is, as in `actor`")]


class RefundEvent(Event):
    topic = "refund.events"
    example = fields(settlement_id="A-1001.s1", leg="refund", currency="EUR")

    settlement_id: SettlementId
    leg: MovementLeg
    currency: Currency = STAMPED
    stage: Annotated[Stage, Field(description="where the movement stands after it (R52)")] = STAMPED


class PendingEvent(RefundEvent):
    """Of a movement that is not done yet."""

    example = fields(amount_minor=900, due_by="2026-04-28T11:05:00.000Z")

    amount_minor: PositiveMinor = STAMPED
    due_by: Annotated[Instant, Field(description="as promised when it was requested (R53); it never moves")] = STAMPED


class RefundRequested(PendingEvent):
    """A movement of money is decided on, promised for `due_by` (R53). `refund.submitted` follows at once."""

    type = "refund.requested.v1"
    example = fields(stage="requested")

    amount_minor: PositiveMinor
    due_by: Instant = Field(description="the promise; it never moves (R53)")


class RefundSubmitted(PendingEvent):
    """The provider is called: with the movement, or, when it gave no answer, with the question what became of it."""

    type = "refund.submitted.v1"
    example = fields(stage="submitted", asking=False, attempt=1, attempts_max=8, answer_by="2026-04-14T11:06:00.000Z")

    asking: bool = Field(description="a question about the movement, not the movement itself")
    attempt: Annotated[int, Field(ge=1)] = Field(description="questions count too")
    attempts_max: Annotated[int, Field(ge=1)] = Field(description="at this one a person is called; a retry raises it")
    answer_by: Instant = Field(description="without an answer by then the provider is asked")


class RefundFailed(PendingEvent):
    """The provider said no; the money has not moved. It is called again at `retry_at`, or a person looks."""

    type = "refund.failed.v1"
    example = fields(
        stage="failed",
        code="bank_closed",
        retryable=True,
        message="Not on a Sunday.",
        retry_at="2026-04-14T11:06:00.000Z",
    )

    code: Id = Field(description="the provider's, for programs")
    retryable: bool = Field(description="as the provider says")
    message: str | None = Field(default=None, description="the provider's, for people")
    retry_at: Instant | None = Field(description="null: not by itself, a person must look")


class RefundOverdue(PendingEvent):
    """Not done by `due_by` (R53). It goes on, and this is said again until it is done."""

    type = "refund.overdue.v1"
    example = fields(stage="processing", repeats_at="2026-05-14T11:05:00.000Z")

    repeats_at: Instant = Field(description="when this will be said again")


class ReviewNeeded(PendingEvent):
    """A person must look: the operator's queue (N7). Nothing happens by itself until he retries or resolves it."""

    type = "refund.review_needed.v1"
    example = fields(stage="manual_review", reason="no_answer")

    reason: ReviewReason = Field(
        description="after `no_answer` and `mismatch` nobody knows whether the money moved; `settled_again`: perhaps "
        "twice"
    )


class DoneEvent(RefundEvent):
    """The money has moved. `note`: an operator said so, it went by other means."""

    example = fields(provider_reference="bank-20260414-0093", note=None)

    provider_reference: ProviderReference
    note: Text | None = Field(default=None, description="an operator's: how it went by other means")


class RefundSettled(DoneEvent):
    """The buyer has his money. The order is completed, if nothing else of it is open (R52)."""

    type = "refund.settled.v1"
    example = fields(actor=OPERATOR, stage="settled", note="Paid by bank transfer.", refund_minor=900, buyer_id="bea")

    leg: Annotated[Literal["refund"], Field(description="always this one")] = "refund"
    refund_minor: PositiveMinor
    buyer_id: PersonId = Field(description="whose money it is, as in `actor`")


class PaidOut(DoneEvent):
    """The seller has his money."""

    type = "refund.paid_out.v1"
    example = fields(leg="payout", stage="settled", amount_minor=350, seller_id="sam")

    leg: Annotated[Literal["payout"], Field(description="always this one")] = "payout"
    amount_minor: PositiveMinor
    seller_id: SellerId


class ChargedBack(DoneEvent):
    """The escrow has back, from the seller's balance, what it refunded or will refund (R7)."""

    type = "refund.charged_back.v1"
    example = fields(leg="chargeback", stage="settled", amount_minor=900, seller_id="sam")

    leg: Annotated[Literal["chargeback"], Field(description="always this one")] = "chargeback"
    amount_minor: PositiveMinor
    seller_id: SellerId


class RefundRejected(Rejected):
    """A command to the refund service was refused, and nothing changed."""

    type = "refund.rejected.v1"
    topic = "refund.events"
    example = fields(
        actor=OPERATOR, refused="refund.retry.v1", code="wrong_state", message="This movement is done.", details=None
    )


class RefundRepeated(Repeated):
    """A command that came before came again. It had its effect then, and its answer, which this one names."""

    type = "refund.repeated.v1"
    topic = "refund.events"
    example = fields(actor=OPERATOR, answer_type="refund.submitted.v1")


class RefundResumed(Resumed):
    """Every record that waited has been handled: the order is parked no more. Like a refusal it is no history."""

    type = "refund.resumed.v1"
    topic = "refund.events"
