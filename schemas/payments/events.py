"""What it says."""

from schemas.wire import Currency, Event, Id, Label, PositiveMinor, Text


class PaymentEvent(Event):
    topic = "payments.events"

    payment_key: Label


class PaymentSettled(PaymentEvent):
    type = "payment.settled.v1"

    currency: Currency
    amount_minor: PositiveMinor
    provider_reference: Label


class PaymentFailed(PaymentEvent):
    """`unknown_key` answers a query: the movement is sent again, under the same key."""

    type = "payment.failed.v1"

    code: Id
    retryable: bool
    message: Text | None = None
