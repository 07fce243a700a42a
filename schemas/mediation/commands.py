"""What may be asked of it."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from schemas.common import DisputeId, Evidence, Expectation, LetterLocale, MediatorId, Terms
from schemas.dispute.shapes import Round
from schemas.example import BUYER, MEDIATOR, OPERATOR, PHOTO, PLATFORM, SELLER, TERMS, fields
from schemas.mediation import events
from schemas.mediation.shapes import Asked, MediationDeadline, MediationStatus, MediatorEmail, QuestionId
from schemas.wire import MEDIATORS_KEY, Command, Id, Label, Minor, PersonId, Resume, Text

RosterKey = Annotated[Literal["mediators"], Field(description="the roster's key: it is about no order")]


ASKED: tuple[MediationStatus, ...] = ("waiting_buyer", "waiting_seller", "waiting_both")
IN_ROUND: tuple[MediationStatus, ...] = ("processing", *ASKED)


class MediationCommand(Command):
    topic = "mediation.commands"


class RegisterMediator(MediationCommand):
    """He gets cases from now on, the longest waiting first (R48). Registering him again replaces what was known.
    Answered by `mediation.mediator_registered`."""

    type = "mediation.register_mediator.v1"
    by = frozenset({"operator"})
    answers = (events.MediatorRegistered,)
    example = fields(
        order_id="mediators", actor=OPERATOR, mediator_id="mia", capacity=20, email="mia@example.com", locale="en"
    )

    order_id: RosterKey
    mediator_id: MediatorId
    capacity: Annotated[int, Field(ge=0, le=1_000, description="rounds at a time")] = 20
    email: MediatorEmail = None
    locale: LetterLocale = None


class RetireMediator(MediationCommand):
    """He gets no new cases and keeps those he has (R48). Answered by `mediation.mediator_retired`."""

    type = "mediation.retire_mediator.v1"
    by = frozenset({"operator"})
    answers = (events.MediatorRetired,)
    example = fields(order_id="mediators", actor=OPERATOR, mediator_id="mia")

    order_id: RosterKey
    mediator_id: MediatorId


class Seat(Command):
    """Where a round's seat stands; a case tells the roster at every change but the roster's own. `order_id` is the
    case's order."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    type = "mediation.seat.v1"
    topic = "mediation.roster"
    by = frozenset({"platform"})
    example = fields(actor=PLATFORM, dispute_id="A-1001.d1", round=1, mediator_id=None, wanted=True, except_=["max"])

    dispute_id: DisputeId
    round: Round
    mediator_id: MediatorId | None = Field(default=None, description="who has the seat; null: nobody")
    wanted: bool = Field(description="a mediator is looked for: the roster answers with `mediation.assign`")
    except_: Annotated[tuple[PersonId, ...], Field(alias="except", description="who must not be assigned")]

    @property
    def key(self) -> str:
        return MEDIATORS_KEY


class CaseCommand(MediationCommand):
    states: ClassVar[tuple[MediationStatus | None, ...] | None] = None
    clock: ClassVar[MediationDeadline | None] = None
    example = fields(dispute_id="A-1001.d1")

    dispute_id: DisputeId


class AssignMediator(CaseCommand):
    """By hand (R48), answered by `mediation.assigned`. The roster says the same on `mediation.roster`, where it counts
    only while a mediator is wanted."""

    type = "mediation.assign.v1"
    by = frozenset({"operator"})
    states = IN_ROUND
    answers = (events.MediationAssigned,)
    example = fields(actor=OPERATOR, mediator_id="mia", email="mia@example.com", locale="en")

    mediator_id: MediatorId
    email: MediatorEmail = None
    locale: LetterLocale = None


class AskQuestion(CaseCommand):
    """Only the mediator asks (R39). Answered by `mediation.question_asked`; whoever is asked and silent bears the
    consequence."""

    type = "mediation.ask.v1"
    by = frozenset({"mediator"})
    states = IN_ROUND
    answers = (events.QuestionAsked,)
    example = fields(actor=MEDIATOR, question_id="q1", to="buyer", question="Was the parcel damaged when it arrived?")

    question_id: Id = Field(description="chosen by the mediator, new in its order")
    to: Asked
    question: Text = Field(description="what the mediator wants to know")


class AnswerQuestion(CaseCommand):
    """Once, and only a question put to him (R39). Answered by `mediation.answered`."""

    type = "mediation.answer.v1"
    by = frozenset({"buyer", "seller"})
    states = ASKED
    clock = "answer"
    answers = (events.QuestionAnswered,)
    example = fields(
        actor=BUYER, question_id="q1", text="It was already broken when I opened the box.", evidence=[PHOTO]
    )

    question_id: QuestionId
    text: Text = Field(description="the answer, for the mediator and the other side")
    evidence: Annotated[tuple[Evidence, ...], Field(max_length=100)] = ()


class OfferSolution(CaseCommand):
    """The seller puts a solution to the buyer (R42). Answered by `mediation.offer_made`."""

    type = "mediation.offer.v1"
    by = frozenset({"seller"})
    states = IN_ROUND
    answers = (events.MediationOfferMade,)
    example = fields(actor=SELLER, terms=TERMS, message="Keep it and get 9.00 EUR back?")

    terms: Terms
    message: Text | None = Field(default=None, description="to the buyer")


class AcceptSolution(CaseCommand):
    """The other side's open offer is accepted: it settles, final (R42, R45). Answered by
    `mediation.offer_accepted`."""

    type = "mediation.accept_offer.v1"
    by = frozenset({"buyer", "seller"})
    states = IN_ROUND
    answers = (events.MediationOfferAccepted,)
    example = fields(actor=BUYER, offer_id=3, expect="settled_on_offer")

    offer_id: int = Field(description="exactly the offer that is accepted (R21)")
    expect: Expectation | None = Field(default=None, description="if given, only `settled_on_offer` is true (R29)")


class DeclineSolution(CaseCommand):
    """*No thanks*: for the mediator's eyes, never the seller's (R42). Answered by `mediation.offer_declined`; that
    offer cannot be accepted any more."""

    type = "mediation.decline_offer.v1"
    by = frozenset({"buyer"})
    states = IN_ROUND
    answers = (events.MediationOfferDeclined,)
    example = fields(actor=BUYER, offer_id=3)

    offer_id: int = Field(description="exactly the offer that is declined")


class Decide(CaseCommand):
    """The mediator's decision (R46). Answered by `mediation.decided`, which ends the round."""

    type = "mediation.decide.v1"
    by = frozenset({"mediator"})
    states = IN_ROUND
    answers = (events.MediationDecided,)
    example = fields(
        actor=MEDIATOR,
        refund_minor=900,
        return_required=False,
        rationale="The photo shows a broken shade; the lamp itself works.",
        rules=["R46"],
        evidence_ids=["e1"],
    )

    refund_minor: Minor = Field(description="to the buyer, in minor units: 0 to `claimed_minor`")
    return_required: bool = Field(description="the goods go back first (R51); never for a refund of 0")
    rationale: Text = Field(description="why, for the parties")
    rules: Annotated[
        tuple[Label, ...], Field(max_length=100, description="that it rests on, as the mediator names them")
    ]
    evidence_ids: Annotated[tuple[Id, ...], Field(max_length=100, description="files that it rests on")]

    @model_validator(mode="after")
    def _nothing_goes_back_for_nothing(self) -> Self:
        if self.return_required and self.refund_minor == 0:
            raise ValueError("nothing is sent back for a refund of 0")
        return self


class CancelArbitration(CaseCommand):
    """The buyer gives up: everything to the seller at once, final (R44). Answered by `mediation.cancelled`."""

    type = "mediation.cancel.v1"
    by = frozenset({"buyer"})
    states = IN_ROUND
    answers = (events.MediationCancelled,)
    example = fields(actor=BUYER, expect="released_to_seller")

    expect: Expectation = Field(description="only `released_to_seller` is true (R29)")


class MediationResume(Resume):
    """An operator lets a parked order, or the roster, go on, once the cause is mended. Answered by
    `mediation.resumed`, when everything that waited has been handled."""

    type = "mediation.resume.v1"
    topic = "mediation.commands"
    example = fields(actor=OPERATOR)
