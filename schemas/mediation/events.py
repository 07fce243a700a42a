"""What it says."""

from typing import Literal

from pydantic import Field

from schemas.common import Email, Evidence, Locale, Offer, Party, PolicyRef, Terms
from schemas.dispute.shapes import FiledEvidence, OfferNumber, Round, Side
from schemas.mediation.shapes import DueBy, MediationStatus, Mediator
from schemas.wire import STAMPED, Event, Id, Instant, Minor, PositiveMinor, Rejected, Resumed, Role


class MediationEvent(Event):
    topic = "mediation.events"


class CaseEvent(MediationEvent):
    """`status` is where the case stands after it; each viewer sees his own name for it (R38)."""

    dispute_id: Id
    status: MediationStatus = STAMPED


class MediationOpened(CaseEvent):
    """A new round; its seat is empty. `offers` are the open ones, each of which the other side may accept (R45)."""

    type = "mediation.opened.v1"

    round: Round
    cause: Literal[
        "rejected", "window", "no_agreement", "seller_silent", "return_contested", "replacement_failed", "appealed"
    ]
    appealed_by: Side | None = None
    mediator: Mediator | None = None
    buyer: Party
    seller: Party
    policy: PolicyRef
    claimed_minor: PositiveMinor
    offers: tuple[Offer, ...]
    last_offer_id: OfferNumber
    filed: tuple[FiledEvidence, ...] = Field(default=(), description="what either party has shown so far")
    mediator_due_by: DueBy
    round_ends_by: Instant


class MediationAssigned(CaseEvent):
    type = "mediation.assigned.v1"

    round: Round
    mediator: Mediator
    mediator_due_by: DueBy


class QuestionAsked(CaseEvent):
    """Who is asked and silent after `answer_by` bears the consequence (R40, R41)."""

    type = "mediation.question_asked.v1"

    question_id: Id
    to: Literal["buyer", "seller", "both"]
    question: str
    answer_by: Instant


class QuestionAnswered(CaseEvent):
    type = "mediation.answered.v1"

    question_id: Id
    by: Side
    text: str
    evidence: tuple[Evidence, ...] = ()
    mediator_due_by: DueBy


class AnswerMissed(CaseEvent):
    """`by` was asked and was silent; one event for each silent party."""

    type = "mediation.answer_missed.v1"

    question_id: Id
    by: Side
    mediator_due_by: DueBy


class MediationOfferMade(CaseEvent):
    type = "mediation.offer_made.v1"

    offer_id: OfferNumber
    by: Side
    terms: Terms
    message: str | None = None


class MediationOfferAccepted(CaseEvent):
    """`by` is who accepted the other side's offer. The round is closed (R42, R45)."""

    type = "mediation.offer_accepted.v1"

    offer_id: OfferNumber
    by: Side
    terms: Terms


class MediationOfferDeclined(CaseEvent):
    """Never shown to the seller (R42)."""

    type = "mediation.offer_declined.v1"

    offer_id: OfferNumber
    by: Side
    visible_to: tuple[Role, ...]


class MediationDecided(CaseEvent):
    type = "mediation.decided.v1"

    round: Round
    mediator_id: Id
    refund_minor: Minor
    return_required: bool
    rationale: str
    rules: tuple[str, ...]
    evidence_ids: tuple[Id, ...]


class MediationDefaulted(CaseEvent):
    """The round ended without a mediator's decision (R40, R41, R48)."""

    type = "mediation.defaulted.v1"

    round: Round
    against: Side
    cause: Literal["buyer_silent", "seller_silent", "mediation_max"]
    refund_minor: Minor
    return_required: bool
    effect: Literal["decided", "cancelled"]


class MediationCancelled(CaseEvent):
    """The buyer cancelled the arbitration: the lines go to the seller, final (R44)."""

    type = "mediation.cancelled.v1"

    round: Round


class MediationOverdue(CaseEvent):
    """The mediator (null: nobody was found) did not act in time: another is looked for (R48)."""

    type = "mediation.overdue.v1"

    round: Round
    mediator_id: Id | None
    mediator_due_by: DueBy


class RosterEvent(MediationEvent):
    """Of the roster's own stream, whose key is `mediators`: there is no dispute here."""

    dispute_id: None = None
    status: None = None


class MediatorRegistered(RosterEvent):
    type = "mediation.mediator_registered.v1"

    mediator_id: Id
    capacity: int
    email: Email | None = None
    locale: Locale | None = None


class MediatorRetired(RosterEvent):
    type = "mediation.mediator_retired.v1"

    mediator_id: Id


class MediationRejected(Rejected):
    type = "mediation.rejected.v1"
    topic = "mediation.events"

    dispute_id: Id | None = STAMPED
    status: MediationStatus | None = STAMPED


class MediationResumed(Resumed):
    type = "mediation.resumed.v1"
    topic = "mediation.events"
