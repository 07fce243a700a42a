"""What it says."""

from typing import Literal, Self

from pydantic import Field, model_validator

from schemas.example import fields
from schemas.payments.shapes import PaymentKey
from schemas.wire import Currency, Event, Id, Label, PositiveMinor, Text


class PaymentEvent(Event):
    topic = "payments.events"
    example = fields(payment_key="A-1001.s1/refund")

    payment_key: PaymentKey


class PaymentSettled(PaymentEvent):
    """The money of this key has moved; said again, it is the same movement. Another amount, currency or reference
    than before is looked at by a person (N7)."""

    type = "payment.settled.v1"
    example = fields(currency="EUR", amount_minor=900, provider_reference="bank-20260414-0093")

    currency: Currency
    amount_minor: PositiveMinor
    provider_reference: Label = Field(description="the payment service's own name of the movement")


class PaymentFailed(PaymentEvent):
    """`unknown_key` answers a query: the movement is sent again, under the same key. Any other code: the money has
    not moved. It counts only for the call that its `ce_causationid` names; said for good of money that was settled, a
    person looks (R62)."""

    type = "payment.failed.v1"
    example = fields(code="bank_closed", retryable=True, message="Not on a Sunday.")

    code: Id = Field(description="why, for programs; the payment service's own but for `unknown_key`")
    retryable: bool = Field(description="false: it would fail again, a person must look")
    message: Text | None = Field(default=None, description="why, for people")


class PaymentCaptured(Event):
    """The buyer's payment is captured for this order; also unasked. Another payment, amount or currency than the
    order's pays nothing and is looked at by a person (R61)."""

    type = "payment.captured.v1"
    topic = "payments.events"
    example = fields(payment_id="pay-7f3a", currency="EUR", amount_minor=1_250)

    payment_id: Id = Field(description="that the order was placed with")
    currency: Currency
    amount_minor: PositiveMinor


class PaymentReversed(Event):
    """Money that had moved has come back: a refund or a payout that its bank returned, or a buyer's payment that his
    bank took back. Asked for by nobody; another `provider_reference` is another reversal. It is booked, and a person
    looks (R62)."""

    type = "payment.reversed.v1"
    topic = "payments.events"
    example = fields(
        payment_key="A-1001.s1/refund",
        payment_id=None,
        currency="EUR",
        amount_minor=900,
        cause="refund_returned",
        provider_reference="bank-20260502-0011",
    )

    payment_key: PaymentKey | None = Field(default=None, description="of the movement that came back")
    payment_id: Id | None = Field(default=None, description="or the buyer's payment that was taken back")
    currency: Currency
    amount_minor: PositiveMinor = Field(description="that came back, perhaps a part, in minor units")
    cause: Literal["payout_returned", "refund_returned", "bank_chargeback"] = Field(
        description="`bank_chargeback`: the buyer's bank took his payment back"
    )
    provider_reference: Label = Field(description="the payment service's own name of the reversal")

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if (self.payment_key is None) == (self.payment_id is None):
            raise ValueError("either payment_key or payment_id names what came back")
        return self
