"""What may be asked of it."""

from typing import Literal

from schemas.payments.shapes import Leg
from schemas.wire import Command, Id, Label, Resume, Text


class RefundCommand(Command):
    topic = "refund.commands"

    settlement_id: Id
    leg: Leg


class RetryRefund(RefundCommand):
    """Calls the provider anew, under the same key; if nobody knows whether the money moved, asks that first (N7)."""

    type = "refund.retry.v1"
    by = frozenset({"operator"})


class ResolveRefund(RefundCommand):
    """The money was moved by other means: the movement is done. The note becomes part of the order's history."""

    type = "refund.resolve.v1"
    by = frozenset({"operator"})

    outcome: Literal["settled"]
    provider_reference: Label
    note: Text


class RefundResume(Resume):
    type = "refund.resume.v1"
    topic = "refund.commands"
