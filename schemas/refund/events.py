"""What it says."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.common import PolicyRef, SettlementId
from schemas.example import OPERATOR, POLICY, fields
from schemas.instants import Instant
from schemas.payments.shapes import PaymentKey
from schemas.refund.shapes import ProviderReference, RequestedLeg, ReversalCause, ReviewedLeg, ReviewReason, Stage
from schemas.wire import STAMPED, Currency, Event, Id, Minor, PersonId, PositiveMinor, Rejected, Repeated, Resumed, Text

SellerId = Annotated[PersonId, Field(description="whose money it is, as in `actor`")]
AttemptsMax = Annotated[int, Field(ge=1, description="at this one a person is called; a retry raises it")]
AnswerBy = Annotated[Instant, Field(description="without an answer by then the provider is asked")]


class RefundEvent(Event):
    topic = "refund.events"
    example = fields(settlement_id="A-1001.s1", leg="refund", currency="EUR")

    settlement_id: SettlementId
    leg: ReviewedLeg
    currency: Currency = STAMPED
    stage: Annotated[Stage, Field(description="where the movement stands after it (R52)")] = STAMPED


class PendingEvent(RefundEvent):
    """Of a movement that is not done yet."""

    example = fields(amount_minor=900, due_by="2026-04-28T11:05:00.000Z")

    amount_minor: PositiveMinor = STAMPED
    due_by: Annotated[Instant, Field(description="as promised when it was requested (R53); it never moves")] = STAMPED


class RefundCaptured(Event):
    """The escrow holds the buyer's payment: the first entry of the order's ledger. With `captured_at` the payment
    service says so (R61), else the platform, when it placed the order."""

    type = "refund.captured.v1"
    topic = "refund.events"
    example = fields(
        payment_id="pay-7f3a",
        amount_minor=1_250,
        currency="EUR",
        buyer_id="bea",
        seller_id="sam",
        policy=POLICY,
        captured_at=None,
    )

    payment_id: Id = Field(description="of the captured payment; refunds go back over it")
    amount_minor: PositiveMinor
    currency: Currency
    buyer_id: PersonId = Field(description="who paid, as in `actor`")
    seller_id: SellerId
    policy: PolicyRef
    captured_at: Instant | None = Field(
        default=None, description="when the payment service said so; null: it was not asked"
    )


class RefundRequested(PendingEvent):
    """A movement of money is decided on, promised for `due_by` (R53), or the payment service is to say that the buyer's
    payment is captured (leg `capture`, R61). The provider is called with it, unless the money is on hold: then
    `refund.submitted` says when he is."""

    type = "refund.requested.v1"
    example = fields(stage="requested", attempts_max=None, answer_by=None)

    leg: RequestedLeg
    amount_minor: PositiveMinor
    due_by: Instant = Field(description="the promise; it never moves (R53)")
    attempts_max: AttemptsMax | None = None
    answer_by: AnswerBy | None = Field(default=None, description="null: the provider is not called yet")


class RefundSubmitted(PendingEvent):
    """The provider is called, and not by the request itself: again, or at last where the money was on hold. With the
    movement, or, when it gave no answer, with the question what became of it."""

    type = "refund.submitted.v1"
    example = fields(
        stage="submitted",
        asking=False,
        attempt=1,
        attempts_max=8,
        answer_by="2026-04-14T11:06:00.000Z",
        payment_key="A-1001.s1/refund",
    )

    asking: bool = Field(description="a question about the movement, not the movement itself")
    attempt: Annotated[int, Field(ge=1)] = Field(description="questions count too")
    attempts_max: AttemptsMax
    answer_by: AnswerBy
    payment_key: PaymentKey | None = Field(
        default=None, description="under which it is called; null: `<settlement_id>/<leg>`"
    )


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
    """A person must look: the operator's queue (N7, R62). Said for each unexpected word of the provider, with what he
    said. Nothing happens by itself until an operator retries, resolves or acknowledges it."""

    type = "refund.review_needed.v1"
    example = fields(
        stage="manual_review",
        reason="no_answer",
        payment_key=None,
        payment_id=None,
        provider_said=None,
        provider_amount_minor=None,
        provider_currency=None,
        provider_reference=None,
        cause=None,
        code=None,
    )

    amount_minor: Minor = STAMPED
    reason: ReviewReason = Field(
        description="after `no_answer` and `mismatch` nobody knows whether the money moved; `settled_again`: perhaps "
        "twice; `reversed`: it came back; `failed_after_settlement`: the provider says so of what it had settled; "
        "`wrong_reference`: what is said to have come back is not what was moved; `unasked`: nobody asked for it; "
        "`bank_chargeback`: the buyer's bank took his payment back; `moved_too_much`: more moved than was to be moved"
    )
    payment_key: PaymentKey | None = Field(default=None, description="of which the provider spoke; null: of none")
    payment_id: Id | None = Field(default=None, description="or of which of the buyer's payments; null: of none")
    provider_said: Literal["settled", "failed", "reversed", "captured"] | None = Field(
        default=None, description="what the provider said of it; null: nothing"
    )
    provider_amount_minor: PositiveMinor | None = Field(default=None, description="as the provider says, minor units")
    provider_currency: Currency | None = Field(default=None, description="as the provider says")
    provider_reference: ProviderReference | None = None
    cause: ReversalCause | None = Field(default=None, description="why it came back; null: it did not")
    code: Id | None = Field(default=None, description="of what the provider says has failed, for programs")


class RefundReversed(PendingEvent):
    """Money of a movement that was done has come back, and is booked so (R62). `refund.review_needed` follows, or what
    the operator does who said so."""

    type = "refund.reversed.v1"
    example = fields(
        stage="manual_review",
        payment_key="A-1001.s1/refund",
        cause="refund_returned",
        provider_reference="bank-20260502-0011",
        party_id="bea",
        repeats_at="2026-05-14T11:05:00.000Z",
    )

    amount_minor: PositiveMinor = Field(description="that came back, in minor units of the order's currency")
    payment_key: PaymentKey
    cause: ReversalCause = Field(description="`failed`: the provider said so after it had said that it was paid")
    provider_reference: ProviderReference = Field(description="of the reversal; for `failed` of the movement")
    party_id: PersonId = Field(description="who has it no more, or has it again: the buyer or the seller")
    repeats_at: Instant = Field(description="when it is called overdue, if it is not done by then")


class MovedInPart(PendingEvent):
    """An operator says that less has moved than was to be moved. It is booked under its key; the rest is owed as a
    movement of its own, under the next key, and `refund.submitted` follows, at once unless the money is on hold (R62).
    """

    type = "refund.moved_in_part.v1"
    example = fields(
        actor=OPERATOR,
        stage="requested",
        amount_minor=850,
        rest_minor=50,
        payment_key="A-1001.s1/refund",
        provider_reference="bank-20260414-0093",
        note="The bank kept its fee.",
        although_unknown=False,
        party_id="bea",
    )

    amount_minor: PositiveMinor = Field(description="that moved, in minor units of the order's currency")
    rest_minor: PositiveMinor = Field(description="that is still to be moved")
    payment_key: PaymentKey
    provider_reference: ProviderReference
    note: Text = Field(description="an operator's: how it went")
    although_unknown: bool = Field(default=False, description="by whom nobody knew whether the provider moves it, too")
    party_id: PersonId = Field(description="who has it, or has it no more: the buyer or the seller")


class MovedTooMuch(RefundEvent):
    """More has moved than was to be moved, as the provider said and an operator confirms. The movement itself was told
    just before; this much more is nobody's due, and booked as an advance of the platform's (R62).
    `refund.review_needed` follows."""

    type = "refund.moved_too_much.v1"
    example = fields(
        actor=OPERATOR,
        stage="settled",
        amount_minor=100,
        payment_key="A-1001.s1/refund",
        provider_reference="bank-20260414-0093",
        note="The bank paid its bonus out with it.",
        party_id="bea",
    )

    amount_minor: PositiveMinor = Field(description="that moved beyond what was to be moved, in minor units")
    payment_key: PaymentKey
    provider_reference: ProviderReference
    note: Text = Field(description="an operator's: how it went")
    party_id: PersonId = Field(description="who has too much, or too little: the buyer or the seller")


class ExcessReturned(RefundEvent):
    """Of what had moved too much this has come back, and is booked so; nothing is owed anew for it (R62)."""

    type = "refund.excess_returned.v1"
    example = fields(
        stage="settled",
        amount_minor=100,
        payment_key="A-1001.s1/refund",
        provider_reference="bank-20260502-0011",
        party_id="bea",
    )

    amount_minor: PositiveMinor = Field(description="that came back, in minor units of the order's currency")
    payment_key: PaymentKey
    provider_reference: ProviderReference = Field(description="of the return")
    party_id: PersonId = Field(description="who has it no more, or has it again: the buyer or the seller")


class ReviewAcknowledged(RefundEvent):
    """An operator has looked, and the books are right: it leaves the operator's queue (R62)."""

    type = "refund.acknowledged.v1"
    example = fields(actor=OPERATOR, stage="settled", note="The bank took the second payment back.")

    note: Text = Field(description="what he found, for people")


class DoneEvent(RefundEvent):
    """The money has moved. `note`: an operator said so, it went by other means."""

    example = fields(provider_reference="bank-20260414-0093", note=None, although_unknown=False)

    provider_reference: ProviderReference
    note: Text | None = Field(default=None, description="an operator's: how it went by other means")
    although_unknown: bool = Field(default=False, description="by whom nobody knew whether the provider moves it, too")


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


class MoneyHeld(Event):
    """No money of this order is sent to the provider from now on; disputes and clocks go on (R63)."""

    type = "refund.held.v1"
    topic = "refund.events"
    example = fields(actor=OPERATOR, cause="operator", reason="The buyer's bank asks about this payment.")

    cause: Literal["operator", "bank_chargeback"] = Field(
        description="`bank_chargeback`: the buyer's bank took his payment back (R62)"
    )
    reason: Text = Field(description="why, for people")


class MoneyUnheld(Event):
    """What waited is sent to the provider now (R63)."""

    type = "refund.unheld.v1"
    topic = "refund.events"
    example = fields(actor=OPERATOR, reason="The bank is satisfied.")

    reason: Text = Field(description="why, for people")


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
