"""The claim, and what the parties say about it (R8–R24, R58)."""

from typing import Annotated, Any

from pydantic import Field

from schemas.common import DisputeId, Evidence, FrozenLine, Party, PolicyRef, Reason, RemindAt, Terms
from schemas.dispute.shapes import ChosenLine, ClaimReason, DisputeClocks, DisputeStatus, OfferNumber, Side
from schemas.example import BEA, BUYER, NEGOTIATED, PHOTO, POLICY, SAM, SELLER, TERMS, TO_ANSWER, fields
from schemas.instants import Instant
from schemas.wire import DETAILS, STAMPED, Currency, Event, Minor, RefusalCode, RefusalMessage, Role

CommandId = Annotated[
    str | None, Field(description="`ce_id` of the `dispute.open` that this answers, at last or for now; null: not told")
]


class DisputeEvent(Event):
    """`status` and `deadlines` say where the dispute stands after it (R83)."""

    topic = "dispute.events"
    example = fields(dispute_id="A-1001.d1", deadlines=[])

    dispute_id: DisputeId
    status: Annotated[DisputeStatus, Field(description="where the dispute stands after it")] = STAMPED
    deadlines: DisputeClocks = None


class DisputeRequested(DisputeEvent):
    """The buyer's claim, in time if `received_at` is: the order service judges by that (R0). It freezes the lines or
    refuses; then the dispute is opened or refused."""

    type = "dispute.requested.v1"
    example = fields(
        actor=BUYER,
        status="requested",
        lines=[{"line_id": "lamp", "quantity": 1}],
        received=True,
        reason="damaged",
        description="The shade arrived in two pieces.",
        terms=TERMS,
        evidence=[PHOTO],
        received_at="2026-03-20T18:45:10.250Z",
        command_id="b1f0c2d4",
    )

    lines: tuple[ChosenLine, ...] | None = Field(default=None, description="null: all that may be disputed")
    received: bool = Field(description="whether anything arrived (R10)")
    reason: ClaimReason
    description: str = Field(description="what happened, in the buyer's words")
    terms: Terms
    evidence: tuple[Evidence, ...] = ()
    received_at: Instant = Field(description="when the claim came, however long it queued")
    command_id: CommandId = None


class DisputeOpened(DisputeEvent):
    """The lines are frozen; the three clocks run from now (C1)."""

    type = "dispute.opened.v1"
    example = fields(
        status="awaiting_seller",
        deadlines=TO_ANSWER,
        lines=[{"line_id": "lamp", "quantity": 1, "amount_minor": 1_250, "released": False}],
        claimed_minor=1_250,
        terms=TERMS,
        offer_id=1,
        seller_answer_by="2026-04-04T18:45:10.250Z",
        escalatable_from="2026-03-27T18:45:10.250Z",
        escalates_at="2026-04-04T18:45:10.250Z",
        disputable_until="2026-05-03T15:30:00.000Z",
        buyer=BEA,
        seller=SAM,
        currency="EUR",
        policy=POLICY,
        command_id="b1f0c2d4",
        remind_at="2026-04-01T00:45:10.250Z",
    )

    lines: tuple[FrozenLine, ...]
    claimed_minor: Minor = Field(description="the most that can be refunded (R18b)")
    terms: Terms
    offer_id: OfferNumber
    seller_answer_by: Instant = Field(description="if he has not answered by then, his silence is judged (C2)")
    escalatable_from: Instant | None = Field(description="null: never by hand")
    escalates_at: Instant = Field(description="without an agreement by then it goes to mediation by itself (C2)")
    disputable_until: Instant = Field(description="cancelled by then, the buyer may dispute again (R30)")
    buyer: Party
    seller: Party
    currency: Currency
    policy: PolicyRef
    command_id: CommandId = None
    remind_at: RemindAt = None


class OpenRefused(DisputeEvent):
    """The lines may not be disputed (or not on these terms); final for this `dispute_id`, unless it is hidden
    (`visible_to`): then nothing of it stays (R77)."""

    type = "dispute.open_refused.v1"
    example = fields(
        status="closed",
        code="too_late",
        message="The time to do this is over.",
        details={"lost_at": "2026-05-03T15:30:00.000Z"},
        command_id="b1f0c2d4",
        visible_to=None,
    )

    code: RefusalCode
    message: RefusalMessage
    details: dict[str, Any] | None = Field(default=None, description=DETAILS)
    command_id: CommandId = None
    visible_to: tuple[Role, ...] | None = Field(
        default=None, description="nobody else is shown it: who asked has no part in the order (R77); null: for all"
    )


class DisputeModified(DisputeEvent):
    """What changed; new terms follow as an offer of their own."""

    type = "dispute.modified.v1"
    example = fields(
        actor=BUYER,
        status="awaiting_seller",
        deadlines=TO_ANSWER,
        reason="damaged",
        received=True,
        description="The shade arrived in two pieces.",
        terms=TERMS,
        evidence=[PHOTO],
    )

    reason: Reason | None = Field(default=None, description="the new one; null: as it was")
    received: bool | None = Field(default=None, description="as the new reason says; null: as it was")
    description: str | None = Field(default=None, description="the new one, in the buyer's words; null: as it was")
    terms: Terms | None = None
    evidence: tuple[Evidence, ...] = ()


class EvidenceAdded(DisputeEvent):
    """A party has shown files; they can be superseded by their owner and never be taken back (R58)."""

    type = "dispute.evidence_added.v1"
    example = fields(actor=BUYER, status="in_mediation", by="buyer", evidence=[PHOTO], unsolicited=True)

    by: Side = Field(description="their owner")
    evidence: tuple[Evidence, ...]
    unsolicited: bool = Field(default=False, description="given in mediation without having been asked (R58)")


class MessageSent(DisputeEvent):
    """A word from one party to the other; it is no answer and no clock stops for it (R24)."""

    type = "dispute.message_sent.v1"
    example = fields(
        actor=BUYER,
        status="negotiating",
        deadlines=NEGOTIATED,
        by="buyer",
        text="It was already broken when I opened the box.",
        day_began_at="2026-03-21T08:00:00.000Z",
        number_of_day=2,
    )

    by: Side = Field(description="who wrote it")
    text: str = Field(description="the message")
    day_began_at: Instant | None = Field(
        default=None, description="with his first message of the day (R72); null: the policy does not count them"
    )
    number_of_day: int | None = Field(default=None, description="how many he has sent that day, with this one")


class OfferMade(DisputeEvent):
    """Replaces the open offer of the same side. The clocks are given as they stand after it."""

    type = "dispute.offer_made.v1"
    example = fields(
        actor=SELLER,
        status="negotiating",
        deadlines=NEGOTIATED,
        offer_id=2,
        by="seller",
        terms=TERMS,
        message="Keep it and get 9.00 EUR back?",
        seller_answer_by=None,
        escalatable_from="2026-03-27T18:45:10.250Z",
        remind_at=None,
    )

    offer_id: OfferNumber
    by: Side = Field(description="whose offer it is; the other side may accept it")
    terms: Terms
    message: str | None = Field(default=None, description="to the other side")
    seller_answer_by: Instant | None = Field(description="null: the seller has answered")
    escalatable_from: Instant | None = Field(description="null: never by hand")
    remind_at: RemindAt = None


class OfferAccepted(DisputeEvent):
    """`by` accepted the other side's offer, here or in mediation; final (R21, R22). If the terms are a return or a
    replacement that is awaited next, else the dispute is closed."""

    type = "dispute.offer_accepted.v1"
    example = fields(actor=BUYER, status="closed", offer_id=2, by="buyer", terms=TERMS, last_offer_id=2)

    offer_id: OfferNumber
    by: Side = Field(description="who accepted it; the offer is the other side's")
    terms: Terms
    last_offer_id: OfferNumber | None = Field(
        default=None, description="the highest number of an offer so far, here and in mediation (R82); null: not told"
    )
