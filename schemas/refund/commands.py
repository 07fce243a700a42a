"""What may be asked of it."""

from typing import ClassVar, Literal

from pydantic import Field

from schemas.common import SettlementId
from schemas.example import OPERATOR, fields
from schemas.refund import events
from schemas.refund.shapes import ReviewedLeg, Stage
from schemas.wire import Command, Label, PositiveMinor, Resume, Text


class RefundCommand(Command):
    topic = "refund.commands"
    states: ClassVar[tuple[Stage, ...] | None] = None
    example = fields(actor=OPERATOR, settlement_id="A-1001.s1", leg="refund")

    settlement_id: SettlementId
    leg: ReviewedLeg


class RetryRefund(RefundCommand):
    """Calls the provider anew, under the same key; if nobody knows whether the money moved, asks that first (N7). What
    had moved and came back is a new movement, under a new key (R62). Answered by `refund.submitted`; before it by
    `refund.reversed`, where only this says that the money came back."""

    type = "refund.retry.v1"
    by = frozenset({"operator"})
    states = ("failed", "manual_review")
    answers = (events.RefundSubmitted,)


class ResolveRefund(RefundCommand):
    """The money was moved by other means, or by the provider over another amount: the movement is done with what really
    moved, and of less than was to be moved the rest goes on, as a movement of its own (R62). The note becomes part of
    the order's history. Refused while the provider was called and has not answered, unless it says so
    (`although_unknown`). Answered by `refund.settled`, `refund.paid_out` or `refund.charged_back`, of a part by
    `refund.moved_in_part`; before it by `refund.reversed`, where only this says that the money came back."""

    type = "refund.resolve.v1"
    by = frozenset({"operator"})
    states = ("submitted", "processing", "failed", "retrying", "manual_review", "on_hold")
    answers = (events.RefundSettled, events.PaidOut, events.ChargedBack, events.MovedInPart)
    example = fields(
        outcome="settled",
        provider_reference="bank-20260414-0093",
        note="Paid by bank transfer.",
        although_unknown=False,
        amount_minor=None,
    )

    outcome: Literal["settled"] = Field(description="what is true of the movement now")
    provider_reference: Label = Field(
        description="by which the movement can be found; of more than was to be moved the provider's own counts"
    )
    note: Text = Field(description="how the money moved, for people")
    although_unknown: bool = Field(
        default=False, description="it may still move by the call that was not answered, and then twice: he knows that"
    )
    amount_minor: PositiveMinor | None = Field(
        default=None,
        description="what really moved, in minor units of the order's currency; null: what the provider says under "
        "this reference, else all that was to be moved. More only if the provider has said so under this payment "
        "key, else `amount_exceeds`",
    )


class AcknowledgeReview(RefundCommand):
    """An operator has looked, and what the books say is right: the movement leaves the review, and nothing moves (R62).
    The note becomes part of the order's history. Answered by `refund.acknowledged`."""

    type = "refund.acknowledge.v1"
    by = frozenset({"operator"})
    states = ("manual_review",)
    answers = (events.ReviewAcknowledged,)
    example = fields(note="The bank took the second payment back.")

    note: Text = Field(description="what he found, for people")


class HoldMoney(Command):
    """No money of this order is sent to the provider until `refund.unhold`; its disputes and clocks go on, and what was
    sent is not called back (R63). Answered by `refund.held`."""

    type = "refund.hold.v1"
    topic = "refund.commands"
    by = frozenset({"operator"})
    answers = (events.MoneyHeld,)
    example = fields(actor=OPERATOR, reason="The buyer's bank asks about this payment.")

    reason: Text = Field(description="why, for people; all sides can read it")


class UnholdMoney(Command):
    """What waited is sent now (R63). Answered by `refund.unheld`."""

    type = "refund.unhold.v1"
    topic = "refund.commands"
    by = frozenset({"operator"})
    answers = (events.MoneyUnheld,)
    example = fields(actor=OPERATOR, reason="The bank is satisfied.")

    reason: Text = Field(description="why, for people; all sides can read it")


class RefundResume(Resume):
    """An operator lets a parked order go on, once the cause is mended. Answered by `refund.resumed`, when everything
    that waited has been handled."""

    type = "refund.resume.v1"
    topic = "refund.commands"
    example = fields(actor=OPERATOR)
