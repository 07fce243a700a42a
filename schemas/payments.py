"""The conversation with the platform's payment service. `payment_key` = `<settlement_id>/<leg>` is the idempotency
key of a movement for ever: an uncertain answer is resolved by asking for that key, never by a new one (N7)."""

from typing import Literal

from schemas.wire import Command, Currency, Event, Id, Label, PositiveMinor, Text

Leg = Literal["refund", "payout", "chargeback"]


class PaymentCommand(Command):
    topic = "payments.commands"
    by = frozenset({"platform"})

    payment_key: Label


class PayBack(PaymentCommand):
    """Money back to the buyer, over the payment it came with."""

    type = "payment.refund.v1"

    payment_id: Id
    currency: Currency
    amount_minor: PositiveMinor


class PayOut(PaymentCommand):
    """Money from escrow to the seller."""

    type = "payment.payout.v1"

    seller_id: Id
    currency: Currency
    amount_minor: PositiveMinor


class ChargeBack(PaymentCommand):
    """Money from the seller's balance back into escrow (R7)."""

    type = "payment.charge.v1"

    seller_id: Id
    currency: Currency
    amount_minor: PositiveMinor


class QueryPayment(PaymentCommand):
    type = "payment.query.v1"


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
