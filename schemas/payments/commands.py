"""What may be asked of it."""

from typing import Annotated

from pydantic import Field

from schemas.example import PLATFORM, fields
from schemas.payments.shapes import PaymentKey
from schemas.wire import Command, Currency, Id, PersonId, PositiveMinor

SellerId = Annotated[PersonId, Field(description="whose balance it is, as in `actor`")]


class PaymentCommand(Command):
    topic = "payments.commands"
    by = frozenset({"platform"})
    example = fields(actor=PLATFORM, payment_key="A-1001.s1/refund")

    payment_key: PaymentKey


class PayBack(PaymentCommand):
    """Money back to the buyer, over the payment it came with. Answered by `payment.settled` or `payment.failed`; a
    known key moves nothing again and gets its answer again."""

    type = "payment.refund.v1"
    example = fields(payment_id="pay-7f3a", currency="EUR", amount_minor=900)

    payment_id: Id = Field(description="the captured payment that the order was placed with")
    currency: Currency
    amount_minor: PositiveMinor


class PayOut(PaymentCommand):
    """Money from escrow to the seller. Answered as a refund is."""

    type = "payment.payout.v1"
    example = fields(payment_key="A-1001.s1/payout", seller_id="sam", currency="EUR", amount_minor=350)

    seller_id: SellerId
    currency: Currency
    amount_minor: PositiveMinor


class ChargeBack(PaymentCommand):
    """Money from the seller's balance back into escrow (R7). Answered as a refund is."""

    type = "payment.charge.v1"
    example = fields(payment_key="A-1001.s1/chargeback", seller_id="sam", currency="EUR", amount_minor=900)

    seller_id: SellerId
    currency: Currency
    amount_minor: PositiveMinor


class ConfirmPayment(PaymentCommand):
    """Is the buyer's payment captured, for this order and over this amount (R61)? Under the key `<order_id>/capture`.
    Answered by `payment.captured`, or by `payment.failed`: not, or not yet (`retryable`)."""

    type = "payment.confirm.v1"
    example = fields(payment_key="A-1001/capture", payment_id="pay-7f3a", currency="EUR", amount_minor=1_250)

    payment_id: Id = Field(description="that the order was placed with")
    currency: Currency
    amount_minor: PositiveMinor


class QueryPayment(PaymentCommand):
    """There was no answer in time: what became of the movement with this key (N7)? Answered as the movement itself;
    a key never heard of by `payment.failed` with the code `unknown_key`."""

    type = "payment.query.v1"
