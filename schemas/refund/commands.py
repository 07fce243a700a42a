"""What may be asked of it."""

from typing import Literal

from pydantic import Field

from schemas.common import SettlementId
from schemas.example import OPERATOR, fields
from schemas.refund.shapes import MovementLeg
from schemas.wire import Command, Label, Resume, Text


class RefundCommand(Command):
    topic = "refund.commands"
    example = fields(actor=OPERATOR, settlement_id="A-1001.s1", leg="refund")

    settlement_id: SettlementId
    leg: MovementLeg


class RetryRefund(RefundCommand):
    """Calls the provider anew, under the same key; if nobody knows whether the money moved, asks that first (N7).
    Answered by `refund.submitted`."""

    type = "refund.retry.v1"
    by = frozenset({"operator"})


class ResolveRefund(RefundCommand):
    """The money was moved by other means: the movement is done. The note becomes part of the order's history.
    Answered by `refund.settled`, `refund.paid_out` or `refund.charged_back`."""

    type = "refund.resolve.v1"
    by = frozenset({"operator"})
    example = fields(outcome="settled", provider_reference="bank-20260414-0093", note="Paid by bank transfer.")

    outcome: Literal["settled"] = Field(description="what is true of the movement now")
    provider_reference: Label = Field(description="by which the other movement can be found")
    note: Text = Field(description="how the money moved, for people")


class RefundResume(Resume):
    """An operator lets a parked order go on, once the cause is mended. Answered by `refund.resumed`, when everything
    that waited has been handled."""

    type = "refund.resume.v1"
    topic = "refund.commands"
    example = fields(actor=OPERATOR)
