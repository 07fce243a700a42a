"""The mediation service's messages: the platform's review of an escalated dispute (R36–R48 of docs/RULES.md)."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from schemas.common import Email, Evidence, Expectation, Locale, Offer, Party, PolicyRef, Terms
from schemas.dispute import FiledEvidence, OfferNumber, Round, Side
from schemas.wire import (
    MEDIATORS_KEY,
    STAMPED,
    Command,
    Event,
    Id,
    Instant,
    Label,
    Minor,
    PositiveMinor,
    Rejected,
    Resume,
    Resumed,
    Role,
    Shape,
    Text,
)

MediationStatus = Literal["processing", "waiting_buyer", "waiting_seller", "waiting_both", "decided", "closed"]


class Mediator(Shape):
    """Who sits in a round. The e-mail address is for the notification service alone and is never logged."""

    id: Id
    email: Email | None = None
    locale: Locale | None = None


class MediationCommand(Command):
    topic = "mediation.commands"


class RegisterMediator(MediationCommand):
    """He gets cases from now on, the longest waiting first (R48). Registering him again replaces what was known."""

    type = "mediation.register_mediator.v1"
    by = frozenset({"operator"})

    order_id: Literal["mediators"]
    mediator_id: Id
    capacity: Annotated[int, Field(ge=0, le=1_000, description="rounds at a time")] = 20
    email: Email | None = None
    locale: Locale | None = None


class RetireMediator(MediationCommand):
    """He gets no new cases and keeps those he has (R48)."""

    type = "mediation.retire_mediator.v1"
    by = frozenset({"operator"})

    order_id: Literal["mediators"]
    mediator_id: Id


class Seat(MediationCommand):
    """Where a round's seat stands; a case tells the roster at every change. `order_id` is the case's order."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    type = "mediation.seat.v1"
    by = frozenset({"platform"})

    dispute_id: Id
    round: Round
    mediator_id: Id | None = None
    wanted: bool
    except_: Annotated[tuple[Id, ...], Field(alias="except", description="who must not be assigned")]

    @property
    def key(self) -> str:
        return MEDIATORS_KEY


class CaseCommand(MediationCommand):
    dispute_id: Id


class AssignMediator(CaseCommand):
    """By the roster, which counts only while a mediator is wanted, or by hand (R48)."""

    type = "mediation.assign.v1"
    by = frozenset({"operator", "platform"})

    mediator_id: Id
    email: Email | None = None
    locale: Locale | None = None


class AskQuestion(CaseCommand):
    """Only the mediator asks (R39)."""

    type = "mediation.ask.v1"
    by = frozenset({"mediator"})

    question_id: Id = Field(description="chosen by the mediator, new in its order")
    to: Literal["buyer", "seller", "both"]
    question: Text


class AnswerQuestion(CaseCommand):
    """Once, and only a question put to him (R39)."""

    type = "mediation.answer.v1"
    by = frozenset({"buyer", "seller"})

    question_id: Id
    text: Text
    evidence: Annotated[tuple[Evidence, ...], Field(max_length=100)] = ()


class OfferSolution(CaseCommand):
    """The seller puts a solution to the buyer (R42)."""

    type = "mediation.offer.v1"
    by = frozenset({"seller"})

    terms: Terms
    message: Text | None = None


class AcceptSolution(CaseCommand):
    """The other side's open offer is accepted: it settles, final (R42, R45)."""

    type = "mediation.accept_offer.v1"
    by = frozenset({"buyer", "seller"})

    offer_id: int
    expect: Expectation | None = None


class DeclineSolution(CaseCommand):
    """*No thanks*: for the mediator's eyes, never the seller's (R42)."""

    type = "mediation.decline_offer.v1"
    by = frozenset({"buyer"})

    offer_id: int


class Decide(CaseCommand):
    """The mediator's decision (R46)."""

    type = "mediation.decide.v1"
    by = frozenset({"mediator"})

    refund_minor: Minor
    return_required: bool
    rationale: Text
    rules: Annotated[tuple[Label, ...], Field(max_length=100)]
    evidence_ids: Annotated[tuple[Id, ...], Field(max_length=100)]

    @model_validator(mode="after")
    def _nothing_goes_back_for_nothing(self) -> Self:
        if self.return_required and self.refund_minor == 0:
            raise ValueError("nothing is sent back for a refund of 0")
        return self


class CancelArbitration(CaseCommand):
    """The buyer gives up: everything to the seller at once, final (R44)."""

    type = "mediation.cancel.v1"
    by = frozenset({"buyer"})

    expect: Expectation


class MediationEvent(Event):
    topic = "mediation.events"


class CaseEvent(MediationEvent):
    """`status` is where the case stands after it; each viewer sees his own name for it (R38)."""

    dispute_id: Id
    status: MediationStatus = STAMPED


DueBy = Annotated[Instant | None, Field(description="the mediator's next act; null while the parties are asked (R48)")]


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


class MediationResume(Resume):
    type = "mediation.resume.v1"
    topic = "mediation.commands"


class MediationResumed(Resumed):
    type = "mediation.resumed.v1"
    topic = "mediation.events"
