"""What may be asked of it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.common import Evidence, Expectation, Reason, Terms, TrackingStatus
from schemas.dispute.shapes import REASONS_NOT_RECEIVED, ChosenLine, ContestReason, OfferNumber
from schemas.wire import Command, Id, Instant, Label, Resume, Text


class DisputeCommand(Command):
    """`dispute_id` is chosen by the client and new in its order."""

    topic = "dispute.commands"

    dispute_id: Id


class OpenDispute(DisputeCommand):
    """A claim over all lines that may be disputed, or over chosen ones (R8, R12)."""

    type = "dispute.open.v1"
    by = frozenset({"buyer"})

    lines: Annotated[tuple[ChosenLine, ...], Field(min_length=1, max_length=100)] | None = None
    received: bool
    reason: Reason
    description: Text
    terms: Terms
    evidence: tuple[Evidence, ...] = ()

    @model_validator(mode="after")
    def _received_decides_the_reasons(self) -> Self:
        if self.received == (self.reason in REASONS_NOT_RECEIVED):
            raise ValueError(f"the reason {self.reason} does not go with received: {self.received}")
        return self

    @model_validator(mode="after")
    def _what_never_came_is_not_sent_back(self) -> Self:
        if self.terms.kind == "return_and_refund" and not self.received:
            raise ValueError("what was not received cannot be sent back")
        return self

    @model_validator(mode="after")
    def _each_line_once(self) -> Self:
        if len({line.line_id for line in self.lines or ()}) < len(self.lines or ()):
            raise ValueError("a line is named twice")
        return self


class ModifyDispute(DisputeCommand):
    """What is left out stays. `received` follows the reason; new terms are a new offer (R23)."""

    type = "dispute.modify.v1"
    by = frozenset({"buyer"})

    reason: Reason | None = None
    description: Text | None = None
    terms: Terms | None = None
    evidence: tuple[Evidence, ...] = ()

    @model_validator(mode="after")
    def _something_changes(self) -> Self:
        if not (self.reason or self.description or self.terms or self.evidence):
            raise ValueError("nothing to modify")
        return self


class AddEvidence(DisputeCommand):
    type = "dispute.add_evidence.v1"
    by = frozenset({"buyer", "seller"})

    evidence: Annotated[tuple[Evidence, ...], Field(min_length=1)]


class SendMessage(DisputeCommand):
    type = "dispute.send_message.v1"
    by = frozenset({"buyer", "seller"})

    text: Text


class MakeOffer(DisputeCommand):
    """Replaces the open offer of the same side (R20)."""

    type = "dispute.offer.v1"
    by = frozenset({"buyer", "seller"})

    terms: Terms
    message: Text | None = None


class RejectOffer(DisputeCommand):
    """An offer of nothing (R19)."""

    type = "dispute.reject.v1"
    by = frozenset({"seller"})

    message: Text | None = None


class AcceptOffer(DisputeCommand):
    """Binds to exactly this offer of the other side (R21)."""

    type = "dispute.accept_offer.v1"
    by = frozenset({"buyer", "seller"})

    offer_id: OfferNumber
    expect: Expectation | None = None


class CancelDispute(DisputeCommand):
    """Must name the consequence it expects (R29)."""

    type = "dispute.cancel.v1"
    by = frozenset({"buyer"})

    expect: Literal["reopenable", "released_to_seller"]


class Escalate(DisputeCommand):
    type = "dispute.escalate.v1"
    by = frozenset({"buyer"})

    statement: Text | None = None


class ShipReturn(DisputeCommand):
    type = "dispute.ship_return.v1"
    by = frozenset({"buyer"})

    carrier: Label
    tracking_number: Label


class ReportReturn(DisputeCommand):
    """What the carrier says happened to the return, and when."""

    type = "dispute.report_return.v1"
    by = frozenset({"platform"})

    status: TrackingStatus
    at: Instant


class ConfirmReturn(DisputeCommand):
    type = "dispute.confirm_return.v1"
    by = frozenset({"seller"})


class ContestReturn(DisputeCommand):
    type = "dispute.contest_return.v1"
    by = frozenset({"seller"})

    reason: ContestReason
    description: Text
    evidence: Annotated[tuple[Evidence, ...], Field(min_length=1)]


class ShipReplacement(DisputeCommand):
    type = "dispute.ship_replacement.v1"
    by = frozenset({"seller"})

    carrier: Label
    tracking_number: Label


class ConfirmReplacement(DisputeCommand):
    type = "dispute.confirm_replacement.v1"
    by = frozenset({"buyer"})


class Appeal(DisputeCommand):
    """Once per dispute in all, by whoever comes first (C4)."""

    type = "dispute.appeal.v1"
    by = frozenset({"buyer", "seller"})

    explanation: Text
    evidence: tuple[Evidence, ...] = ()


class WaiveAppeal(DisputeCommand):
    type = "dispute.waive_appeal.v1"
    by = frozenset({"buyer", "seller"})


class DisputeResume(Resume):
    type = "dispute.resume.v1"
    topic = "dispute.commands"
