"""What may be asked of it."""

from schemas.wire import Command, Currency, Id, Label, PositiveMinor


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
