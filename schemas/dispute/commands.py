"""What may be asked of it."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.common import Carrier, DisputeId, Evidence, Expectation, Reason, Terms, TrackingNumber, TrackingStatus
from schemas.dispute import events
from schemas.dispute.shapes import (
    REASONS_NOT_RECEIVED,
    ChosenLine,
    ClaimReason,
    ContestReason,
    DisputeDeadline,
    DisputeStatus,
    OfferNumber,
)
from schemas.example import BUYER, OPERATOR, PHOTO, PLATFORM, SELLER, TERMS, fields
from schemas.instants import Instant
from schemas.wire import Command, Resume, Text

OPEN: tuple[DisputeStatus, ...] = ("awaiting_seller", "negotiating")
MOVING_GOODS: tuple[DisputeStatus, ...] = (
    "awaiting_return",
    "return_shipped",
    "awaiting_replacement",
    "replacement_shipped",
)


class DisputeCommand(Command):
    """`dispute_id` is chosen by the client and new in its order."""

    topic = "dispute.commands"
    states: ClassVar[tuple[DisputeStatus | None, ...] | None] = None
    clock: ClassVar[DisputeDeadline | None] = None
    example = fields(dispute_id="A-1001.d1")

    dispute_id: DisputeId


class OpenDispute(DisputeCommand):
    """A claim over all lines that may be disputed, or over chosen ones (R8, R12). Answered by `dispute.requested`;
    whether it is opened the order service says: `dispute.opened` or `dispute.open_refused`."""

    type = "dispute.open.v1"
    by = frozenset({"buyer"})
    states = (None,)
    pending = (events.DisputeRequested,)
    answers = (events.DisputeOpened, events.OpenRefused)
    example = fields(
        actor=BUYER,
        lines=[{"line_id": "lamp", "quantity": 1}],
        received=True,
        reason="damaged",
        description="The shade arrived in two pieces.",
        terms=TERMS,
        evidence=[PHOTO],
    )

    lines: Annotated[tuple[ChosenLine, ...], Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="null: all that may be disputed"
    )
    received: bool = Field(description="whether anything arrived: decides which reasons there are (R10)")
    reason: ClaimReason
    description: Text = Field(description="what happened, in the buyer's words")
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
    """What is left out stays. `received` follows the reason; new terms are a new offer (R23). Answered by
    `dispute.modified`."""

    type = "dispute.modify.v1"
    by = frozenset({"buyer"})
    states = OPEN
    answers = (events.DisputeModified,)
    example = fields(
        actor=BUYER, reason="damaged", description="The shade arrived in two pieces.", terms=TERMS, evidence=[PHOTO]
    )

    reason: Reason | None = Field(default=None, description="the new one; null: as it was")
    description: Text | None = Field(default=None, description="the new one, in the buyer's words; null: as it was")
    terms: Terms | None = None
    evidence: tuple[Evidence, ...] = ()

    @model_validator(mode="after")
    def _something_changes(self) -> Self:
        if not (self.reason or self.description or self.terms or self.evidence):
            raise ValueError("nothing to modify")
        return self


class AddEvidence(DisputeCommand):
    """A party shows files (R58). In mediation, where nobody asked for them, they are flagged or refused. Answered by
    `dispute.evidence_added`."""

    type = "dispute.add_evidence.v1"
    by = frozenset({"buyer", "seller"})
    states = (*OPEN, "in_mediation", *MOVING_GOODS)
    answers = (events.EvidenceAdded,)
    example = fields(actor=BUYER, evidence=[PHOTO])

    evidence: Annotated[tuple[Evidence, ...], Field(min_length=1)]


class SendMessage(DisputeCommand):
    """A word to the other side, apart from the offers: it changes nothing (R24). Answered by
    `dispute.message_sent`; refused in mediation."""

    type = "dispute.send_message.v1"
    by = frozenset({"buyer", "seller"})
    states = (*OPEN, *MOVING_GOODS)
    answers = (events.MessageSent,)
    example = fields(actor=BUYER, text="It was already broken when I opened the box.")

    text: Text = Field(description="the message")


class MakeOffer(DisputeCommand):
    """Replaces the open offer of the same side (R20). Answered by `dispute.offer_made`."""

    type = "dispute.offer.v1"
    by = frozenset({"buyer", "seller"})
    states = OPEN
    clock = "seller_first_response"
    answers = (events.OfferMade,)
    example = fields(actor=SELLER, terms=TERMS, message="Keep it and get 9.00 EUR back?")

    terms: Terms
    message: Text | None = Field(default=None, description="to the other side")


class RejectOffer(DisputeCommand):
    """An offer of nothing (R19). Answered by `dispute.offer_made`, of the kind `none`; the buyer may escalate now."""

    type = "dispute.reject.v1"
    by = frozenset({"seller"})
    states = OPEN
    clock = "seller_first_response"
    answers = (events.OfferMade,)
    example = fields(actor=SELLER, message="It left here whole.")

    message: Text | None = Field(default=None, description="to the buyer")


class AcceptOffer(DisputeCommand):
    """Binds to exactly this offer of the other side (R21). Answered by `dispute.offer_accepted`, which settles for
    good (R22)."""

    type = "dispute.accept_offer.v1"
    by = frozenset({"buyer", "seller"})
    states = OPEN
    clock = "seller_first_response"
    answers = (events.OfferAccepted,)
    example = fields(actor=BUYER, offer_id=2, expect="settled_on_offer")

    offer_id: OfferNumber
    expect: Expectation | None = Field(default=None, description="if given, only `settled_on_offer` is true (R29)")


class CancelDispute(DisputeCommand):
    """The buyer gives his claim up and must name the consequence he expects (R29). Answered by `dispute.cancelled`;
    if the truth is another, refused: `consequence_changed`."""

    type = "dispute.cancel.v1"
    by = frozenset({"buyer"})
    states = (*OPEN, "awaiting_return", "awaiting_replacement")
    answers = (events.DisputeCancelled,)
    example = fields(actor=BUYER, expect="released_to_seller")

    expect: Literal["reopenable", "released_to_seller"] = Field(
        description="`reopenable`: he may dispute again (R30); `released_to_seller`: the money is the seller's (R31)"
    )


class Escalate(DisputeCommand):
    """The buyer calls for a mediator, once the seller said no or `escalatable_from` is reached (C1), or his
    replacement went wrong (R34). Answered by `dispute.escalated`."""

    type = "dispute.escalate.v1"
    by = frozenset({"buyer"})
    states = (*OPEN, "replacement_shipped")
    clock = "replacement_confirm"
    answers = (events.DisputeEscalated,)
    example = fields(actor=BUYER, statement="He offers nothing for a broken lamp.")

    statement: Text | None = Field(default=None, description="why, for the mediator")


class ShipReturn(DisputeCommand):
    """The buyer has sent the goods back (R51). Answered by `dispute.return_shipped`."""

    type = "dispute.ship_return.v1"
    by = frozenset({"buyer"})
    states = ("awaiting_return",)
    clock = "return_ship"
    answers = (events.ReturnShipped,)
    example = fields(actor=BUYER, carrier="Post", tracking_number="RR123456785DE")

    carrier: Carrier
    tracking_number: TrackingNumber


class CorrectReturnTracking(DisputeCommand):
    """The number of the return was wrong; possible until it is delivered (R71). Answered by
    `dispute.return_tracking_corrected`."""

    type = "dispute.correct_return_tracking.v1"
    by = frozenset({"buyer"})
    states = ("return_shipped",)
    answers = (events.ReturnTrackingCorrected,)
    example = fields(actor=BUYER, carrier="Post", tracking_number="RR123456794DE")

    carrier: Carrier
    tracking_number: TrackingNumber


class ReportReturn(DisputeCommand):
    """What the carrier says happened to the return, and when. Answered by `dispute.return_reported`."""

    type = "dispute.report_return.v1"
    by = frozenset({"platform"})
    states = ("return_shipped",)
    answers = (events.ReturnReported,)
    example = fields(actor=PLATFORM, status="delivered", at="2026-03-16T10:20:00.000Z")

    status: TrackingStatus = Field(
        description="where the return is; at the first `delivered` the seller's time to look at it begins anew (R51); "
        "while it is `returned` or `failed` his silence leads to a mediator (R71)"
    )
    at: Instant = Field(description="when that was, as the carrier says")


class ConfirmReturn(DisputeCommand):
    """The seller has the goods back and is content (R51). Answered by `dispute.return_received`; the buyer is
    refunded."""

    type = "dispute.confirm_return.v1"
    by = frozenset({"seller"})
    states = ("return_shipped",)
    clock = "return_confirm"
    answers = (events.ReturnReceived,)
    example = fields(actor=SELLER)


class ContestReturn(DisputeCommand):
    """What came back is not what was to come back (R51). Answered by `dispute.return_contested`; a mediator
    judges."""

    type = "dispute.contest_return.v1"
    by = frozenset({"seller"})
    states = ("return_shipped",)
    clock = "return_confirm"
    answers = (events.ReturnContested,)
    example = fields(actor=SELLER, reason="empty", description="The parcel held a brick.", evidence=[PHOTO])

    reason: ContestReason = Field(description="what is wrong with the return")
    description: Text = Field(description="what happened, in the seller's words")
    evidence: Annotated[tuple[Evidence, ...], Field(min_length=1)]


class ShipReplacement(DisputeCommand):
    """The seller has sent a new parcel (C10). Answered by `dispute.replacement_shipped`."""

    type = "dispute.ship_replacement.v1"
    by = frozenset({"seller"})
    states = ("awaiting_replacement",)
    clock = "replacement_ship"
    answers = (events.ReplacementShipped,)
    example = fields(actor=SELLER, carrier="Post", tracking_number="RR123456785DE")

    carrier: Carrier
    tracking_number: TrackingNumber


class ConfirmReplacement(DisputeCommand):
    """The buyer has the new parcel and is content: the money is the seller's (C10). Answered by `dispute.closed`."""

    type = "dispute.confirm_replacement.v1"
    by = frozenset({"buyer"})
    states = ("replacement_shipped",)
    clock = "replacement_confirm"
    answers = (events.DisputeClosed,)
    example = fields(actor=BUYER)


class Appeal(DisputeCommand):
    """Once per dispute in all, by whoever comes first (C4). Answered by `dispute.appealed`; another mediator judges,
    for good."""

    type = "dispute.appeal.v1"
    by = frozenset({"buyer", "seller"})
    states = ("decided",)
    clock = "appeal_window"
    answers = (events.DisputeAppealed,)
    example = fields(actor=SELLER, explanation="The new photo shows that the parcel was intact.", evidence=[PHOTO])

    explanation: Text = Field(description="what is wrong with the decision, for the mediator")
    evidence: tuple[Evidence, ...] = ()


class WaiveAppeal(DisputeCommand):
    """A party accepts the decision; when both have, nothing is waited for any more (C4). Answered by
    `dispute.appeal_waived`."""

    type = "dispute.waive_appeal.v1"
    by = frozenset({"buyer", "seller"})
    states = ("decided",)
    clock = "appeal_window"
    answers = (events.AppealWaived,)
    example = fields(actor=BUYER)


class DisputeResume(Resume):
    """An operator lets a parked order go on, once the cause is mended. Answered by `dispute.resumed`, when everything
    that waited has been handled."""

    type = "dispute.resume.v1"
    topic = "dispute.commands"
    example = fields(actor=OPERATOR)
