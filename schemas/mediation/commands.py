"""What may be asked of it."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from schemas.common import Email, Evidence, Expectation, Locale, Terms
from schemas.dispute.shapes import Round
from schemas.wire import MEDIATORS_KEY, Command, Id, Label, Minor, Resume, Text


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


class MediationResume(Resume):
    type = "mediation.resume.v1"
    topic = "mediation.commands"
