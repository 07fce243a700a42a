"""What it says."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.common import (
    EndsAt,
    Evidence,
    LetterLocale,
    MediatorId,
    Offer,
    Party,
    PolicyRef,
    RemindAt,
    RemindedOnly,
    Terms,
)
from schemas.dispute.shapes import EscalationCause, FiledEvidence, OfferNumber, Round, Side
from schemas.example import (
    ASKED,
    BEA,
    BUYER,
    JUDGED,
    MEDIATOR,
    MIA,
    OPERATOR,
    PHOTO,
    PLATFORM,
    POLICY,
    REMINDED_TO_SAY,
    SAM,
    SELLER,
    TERMS,
    fields,
)
from schemas.instants import Instant
from schemas.mediation.event import CaseEvent as CaseEvent
from schemas.mediation.event import MediationEvent as MediationEvent
from schemas.mediation.shapes import Asked, DueBy, MediationClocks, MediationStatus, Mediator, MediatorEmail, QuestionId
from schemas.wire import STAMPED, Id, Minor, Rejected, Repeated, Resumed, Role


class MediationOpened(CaseEvent):
    """A new round; its seat is empty. `offers` are the open ones, each of which the other side may accept (R45).
    `mediation.assigned` follows as soon as the roster has somebody."""

    type = "mediation.opened.v1"
    example = fields(
        status="processing",
        deadlines=JUDGED,
        round=1,
        cause="rejected",
        appealed_by=None,
        mediator=None,
        buyer=BEA,
        seller=SAM,
        policy=POLICY,
        claimed_minor=1_250,
        received=True,
        offers=[{"offer_id": 1, "by": "buyer", "terms": TERMS}],
        last_offer_id=1,
        mediator_due_by="2026-04-10T08:00:00.000Z",
        round_ends_by="2026-06-23T08:00:00.000Z",
        filed=[{"evidence_id": "e1", "by": "buyer"}],
    )

    round: Round
    cause: Literal[EscalationCause, "appealed"] = Field(description="as `dispute.escalated` says, or an appeal (C4)")
    appealed_by: Side | None = Field(default=None, description="null: it is no appeal")
    mediator: Mediator | None = Field(default=None, description="null: the seat is empty")
    buyer: Party
    seller: Party
    policy: PolicyRef
    claimed_minor: Minor = Field(description="the most that can be refunded (R18b)")
    received: bool | None = Field(
        default=None, description="whether anything arrived: what never came is not sent back (R73); null: not told"
    )
    offers: tuple[Offer, ...]
    last_offer_id: OfferNumber = Field(description="the numbering of offers goes on from here")
    filed: tuple[FiledEvidence, ...] = Field(default=(), description="what either party has shown so far")
    mediator_due_by: DueBy
    round_ends_by: Instant = Field(description="then the round ends by itself (R48)")


class MediationAssigned(CaseEvent):
    """A mediator has the seat: he asks or decides by `mediator_due_by`, else another is looked for (R48)."""

    type = "mediation.assigned.v1"
    example = fields(
        actor=PLATFORM,
        status="processing",
        deadlines=JUDGED,
        round=1,
        mediator=MIA,
        mediator_due_by="2026-04-10T08:00:00.000Z",
    )

    round: Round
    mediator: Mediator
    mediator_due_by: DueBy


class QuestionAsked(CaseEvent):
    """Who is asked and silent after `answer_by` bears the consequence (R40, R41)."""

    type = "mediation.question_asked.v1"
    example = fields(
        actor=MEDIATOR,
        status="waiting_buyer",
        deadlines=ASKED,
        question_id="q1",
        to="buyer",
        question="Was the parcel damaged when it arrived?",
        answer_by="2026-04-08T08:00:00.000Z",
        remind_at="2026-04-06T02:00:00.000Z",
    )

    question_id: QuestionId
    to: Asked
    question: str = Field(description="what the mediator wants to know")
    answer_by: Instant = Field(description="an answer is in time at this instant at the latest")
    remind_at: RemindAt = None


class MediationReminded(CaseEvent):
    """A party has not answered the mediator's question yet, and his time runs out (R68). Said once of each question,
    one event for each who is reminded; how much of the disputed lines is left for the seller the dispute service
    knows."""

    type = "mediation.reminded.v1"
    example = fields(
        status="waiting_buyer",
        deadlines=REMINDED_TO_SAY,
        question_id="q1",
        clock="answer",
        to="buyer",
        ends_at="2026-04-08T08:00:00.000Z",
        otherwise="decided",
        refund_minor=0,
        visible_to=["buyer", "mediator", "operator"],
    )

    question_id: QuestionId
    clock: Literal["answer"] = Field(description="which clock runs out")
    to: Side = Field(description="who is reminded: his silence would cost him")
    ends_at: EndsAt
    otherwise: Literal["decided", "cancelled", "decided_on_record"] = Field(
        description="what happens then if he alone is silent: it is decided at once; or it is cancelled (R40); or the "
        "mediator decides on what there is (R41)"
    )
    refund_minor: Minor | None = Field(
        description="is decided to go to the buyer, in minor units of the order's currency; null: nothing is decided"
    )
    visible_to: RemindedOnly


class QuestionAnswered(CaseEvent):
    """A party has answered. Once nobody is asked any more it is the mediator's turn (R48)."""

    type = "mediation.answered.v1"
    example = fields(
        actor=BUYER,
        status="processing",
        deadlines=JUDGED,
        question_id="q1",
        by="buyer",
        text="It was already broken when I opened the box.",
        evidence=[PHOTO],
        mediator_due_by="2026-04-10T08:00:00.000Z",
    )

    question_id: QuestionId
    by: Side = Field(description="who answered")
    text: str = Field(description="the answer")
    evidence: tuple[Evidence, ...] = ()
    mediator_due_by: DueBy


class AnswerMissed(CaseEvent):
    """`by` was asked and was silent; one event for each silent party. If that decides the round,
    `mediation.defaulted` follows (R40, R41)."""

    type = "mediation.answer_missed.v1"
    example = fields(status="decided", question_id="q1", by="buyer", mediator_due_by=None)

    question_id: QuestionId
    by: Side = Field(description="who was silent")
    mediator_due_by: DueBy


class MediationOfferMade(CaseEvent):
    """The seller puts a solution to the buyer, in place of his open offer; the buyer accepts or declines (R42)."""

    type = "mediation.offer_made.v1"
    example = fields(
        actor=SELLER,
        status="processing",
        deadlines=JUDGED,
        offer_id=3,
        by="seller",
        terms=TERMS,
        message="Keep it and get 9.00 EUR back?",
    )

    offer_id: OfferNumber
    by: Side = Field(description="whose offer it is")
    terms: Terms
    message: str | None = Field(default=None, description="to the buyer")


class MediationOfferAccepted(CaseEvent):
    """`by` is who accepted the other side's offer. The round is closed (R42, R45); the dispute settles on these
    terms."""

    type = "mediation.offer_accepted.v1"
    example = fields(actor=BUYER, status="closed", offer_id=3, by="buyer", terms=TERMS, last_offer_id=3)

    offer_id: OfferNumber
    by: Side = Field(description="who accepted it")
    terms: Terms
    last_offer_id: OfferNumber | None = Field(
        default=None, description="the highest number of an offer so far, here and in mediation (R82); null: not told"
    )


class MediationOfferDeclined(CaseEvent):
    """*No thanks*: that offer cannot be accepted any more. Never shown to the seller (R42, C9)."""

    type = "mediation.offer_declined.v1"
    example = fields(
        actor=BUYER,
        status="processing",
        deadlines=JUDGED,
        offer_id=3,
        by="buyer",
        visible_to=["buyer", "mediator", "operator"],
    )

    offer_id: OfferNumber
    by: Side = Field(description="who declined it")
    visible_to: tuple[Role, ...] = Field(description="nobody else is shown this event")


class MediationDecided(CaseEvent):
    """The mediator's decision ends the round (R46). `dispute.decided` follows, which says whether it is final."""

    type = "mediation.decided.v1"
    example = fields(
        actor=MEDIATOR,
        status="decided",
        round=1,
        mediator_id="mia",
        refund_minor=900,
        return_required=False,
        rationale="The photo shows a broken shade; the lamp itself works.",
        rules=["R46"],
        evidence_ids=["e1"],
        last_offer_id=3,
    )

    round: Round
    mediator_id: MediatorId
    refund_minor: Minor = Field(description="to the buyer, in minor units of the order's currency")
    return_required: bool = Field(description="the goods go back first (R51)")
    rationale: str = Field(description="why, for the parties")
    rules: tuple[str, ...] = Field(description="that it rests on, as the mediator names them")
    evidence_ids: tuple[Id, ...] = Field(description="files that it rests on")
    last_offer_id: OfferNumber | None = Field(
        default=None, description="the highest number of an offer so far, here and in mediation (R82); null: not told"
    )


class MediationDefaulted(CaseEvent):
    """The round ended without a mediator's decision (R40, R41, R48). By `effect` the dispute is decided, which may
    be appealed, or cancelled."""

    type = "mediation.defaulted.v1"
    example = fields(
        status="decided",
        round=1,
        against="buyer",
        cause="buyer_silent",
        refund_minor=0,
        return_required=False,
        effect="decided",
        last_offer_id=3,
    )

    round: Round
    against: Side = Field(description="whose loss it is")
    cause: Literal["buyer_silent", "seller_silent", "mediation_max"] = Field(
        description="who was asked and silent, or `mediation_max`: the round took too long"
    )
    refund_minor: Minor = Field(description="to the buyer, in minor units of the order's currency")
    return_required: bool = Field(description="the goods go back first (R51)")
    effect: Literal["decided", "cancelled"] = Field(description="`cancelled`: as if the buyer had cancelled (R40)")
    last_offer_id: OfferNumber | None = Field(
        default=None, description="the highest number of an offer so far, here and in mediation (R82); null: not told"
    )


class MediationCancelled(CaseEvent):
    """The buyer cancelled the arbitration: the lines go to the seller, final (R44)."""

    type = "mediation.cancelled.v1"
    example = fields(actor=BUYER, status="closed", round=1)

    round: Round


class MediationOverdue(CaseEvent):
    """The mediator (null: nobody was found) did not act in time: another is looked for (R48)."""

    type = "mediation.overdue.v1"
    example = fields(
        status="processing", deadlines=JUDGED, round=1, mediator_id="mia", mediator_due_by="2026-04-10T08:00:00.000Z"
    )

    round: Round
    mediator_id: MediatorId | None = Field(description="who lost the case; null: nobody had it")
    mediator_due_by: DueBy


class RosterEvent(MediationEvent):
    """Of the roster's own stream, whose key is `mediators`: there is no dispute here."""

    example = fields(order_id="mediators", dispute_id=None, status=None)

    order_id: Annotated[Id, Field(description="the roster's key, `mediators`: it is about no order")] = STAMPED
    dispute_id: None = Field(default=None, description="always null: there is no dispute")
    status: None = Field(default=None, description="always null: there is no case")


class MediatorRegistered(RosterEvent):
    """He is on the roster, as told here, and gets cases that wait (R48)."""

    type = "mediation.mediator_registered.v1"
    example = fields(actor=OPERATOR, mediator_id="mia", capacity=20, email="mia@example.com", locale="en")

    mediator_id: MediatorId
    capacity: int = Field(description="rounds at a time")
    email: MediatorEmail = None
    locale: LetterLocale = None


class MediatorRetired(RosterEvent):
    """He gets no new cases and keeps those he has (R48)."""

    type = "mediation.mediator_retired.v1"
    example = fields(actor=OPERATOR, mediator_id="mia")

    mediator_id: MediatorId


class MediationRejected(Rejected):
    """A command to the mediation service was refused, and nothing changed."""

    type = "mediation.rejected.v1"
    topic = "mediation.events"
    example = fields(
        actor=BUYER,
        refused="mediation.accept_offer.v1",
        code="offer_superseded",
        message="There is a newer offer.",
        details={"offer": {"offer_id": 3, "by": "seller", "terms": TERMS}},
        dispute_id="A-1001.d1",
        status="processing",
        deadlines=JUDGED,
    )

    dispute_id: Annotated[Id | None, Field(description="that it was about, as far as that could be read")] = STAMPED
    status: Annotated[MediationStatus | None, Field(description="where the case stands; null: there is none")] = STAMPED
    deadlines: MediationClocks = None


class MediationRepeated(Repeated):
    """A command that came before came again. It had its effect then, and its answer, which this one names."""

    type = "mediation.repeated.v1"
    topic = "mediation.events"
    example = fields(actor=BUYER, answer_type="mediation.answered.v1")


class MediationResumed(Resumed):
    """Every record that waited has been handled: the order is parked no more. Like a refusal it is no history."""

    type = "mediation.resumed.v1"
    topic = "mediation.events"
