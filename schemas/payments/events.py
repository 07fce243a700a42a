"""What it says."""

from pydantic import Field

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
    not moved."""

    type = "payment.failed.v1"
    example = fields(code="bank_closed", retryable=True, message="Not on a Sunday.")

    code: Id = Field(description="why, for programs; the payment service's own but for `unknown_key`")
    retryable: bool = Field(description="false: it would fail again, a person must look")
    message: Text | None = Field(default=None, description="why, for people")
