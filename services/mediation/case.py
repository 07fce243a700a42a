"""A case: one dispute before the mediators, as a union of states; and what every conversation in it needs."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from schemas.common import Offer, Party, PolicyRef, Terms
from schemas.dispute.shapes import FiledEvidence, Side
from schemas.example import fields
from schemas.mediation.commands import CaseCommand
from schemas.mediation.events import (
    AnswerMissed,
    CaseEvent,
    MediationAssigned,
    MediationCancelled,
    MediationDecided,
    MediationDefaulted,
    MediationOfferAccepted,
    MediationOfferDeclined,
    MediationOfferMade,
    MediationOpened,
    MediationOverdue,
    MediationReminded,
    QuestionAnswered,
    QuestionAsked,
)
from schemas.mediation.shapes import MediationDeadline, MediationStatus
from schemas.policy import Policy
from schemas.wire import Id, PrivateEvent, Role
from services.mediation.policy import Ruling, mediator_due_by, on_claim
from shared.kernel.decider import Deadline, Refusal
from shared.rules.refusals import who_may

ROUND_OVER = Refusal("wrong_state", "This dispute is not in mediation any more.")
OWN_CASE = Refusal("not_allowed", "You are a party of this order: nobody judges his own case.")

Awaited = tuple[str, Side]
"""(question_id, who has not answered it yet)"""


@dataclass(frozen=True, slots=True)
class Question:
    to: tuple[Side, ...]
    answer_by: datetime
    remind_at: datetime | None = None
    """None: nobody is reminded, or he was."""


@dataclass(frozen=True, slots=True)
class FiledInRound:
    """A file of the dispute, and in which round it was shown; each party may show so many in one (R58)."""

    round: int
    """0: handed over with the case."""
    by: Side
    evidence_id: str


class CaseEvidenceNoted(PrivateEvent):
    """Filed with the dispute service once mediation has the case, without having been asked for."""

    type = "mediation.evidence_noted.v1"
    example = fields(dispute_id="A-1001.d1", filed=[{"evidence_id": "e1", "by": "buyer"}])

    dispute_id: Id
    filed: tuple[FiledEvidence, ...]


class AnswerReminderLapsed(PrivateEvent):
    """Nobody is reminded any more of what was over when it was noticed (R68)."""

    type = "mediation.answer_reminder_lapsed.v1"
    example = fields(dispute_id="A-1001.d1", question_id="q1")

    dispute_id: Id
    question_id: Id


@dataclass(frozen=True, slots=True)
class CaseFile:
    """What stays through all rounds of a dispute."""

    order_id: str
    dispute_id: str
    round: int
    buyer: Party
    seller: Party
    policy: PolicyRef
    claimed_minor: int
    received: bool
    """Whether anything arrived that could be sent back (R73)."""
    claim: Offer
    """The buyer's open offer: his current terms."""
    last_offer_id: int
    solution_id: int | None = None
    """The number of the seller's newest offer."""
    return_contested: bool = False
    questions: Mapping[str, Question] = field(default_factory=dict)
    filed: tuple[FiledInRound, ...] = ()
    sat: tuple[tuple[int, str], ...] = ()
    """(round, mediator) of everybody who ever had the case."""

    @property
    def on_claim(self) -> Ruling:
        return on_claim(self.claim.terms, returnable=self.received and not self.return_contested)

    @property
    def owners(self) -> Mapping[str, Side]:
        """Who showed which file, by evidence id."""
        return {one.evidence_id: one.by for one in self.filed}

    @property
    def parties(self) -> tuple[str, str]:
        """Whoever they are besides, they never judge here (R70)."""
        return self.buyer.id, self.seller.id

    @property
    def sat_before(self) -> set[str]:
        """The mediators of earlier rounds: on appeal none of them judges again (R48)."""
        return {mediator for round_, mediator in self.sat if round_ < self.round}


@dataclass(frozen=True, slots=True)
class AppealedRuling:
    by: Side
    standing: Ruling
    """What was decided, and stands if the appeal runs out of time."""


@dataclass(frozen=True, slots=True)
class InRound:
    """Someone judges, or is looked for."""

    file: CaseFile
    round_ends_by: datetime
    mediator_due_by: datetime | None
    """None while a party is asked."""
    mediator_id: str | None = None
    awaited: frozenset[Awaited] = frozenset()
    solution: Offer | None = None
    """The seller's newest offer."""
    declined: bool = False
    """The buyer said *no thanks* to it: it is not open any more, but the seller is not told (C9)."""
    appeal: AppealedRuling | None = None


@dataclass(frozen=True, slots=True)
class DecidedCase:
    """The round gave a ruling; an appeal opens the next."""

    file: CaseFile
    ruling: Ruling


@dataclass(frozen=True, slots=True)
class ClosedCase:
    """The round ended without a ruling: settled, or given up by the buyer."""

    file: CaseFile


Case = InRound | DecidedCase | ClosedCase


def status(case: Case) -> MediationStatus:
    match case:
        case DecidedCase():
            return "decided"
        case ClosedCase():
            return "closed"
        case InRound(awaited=awaited):
            match {side for _, side in awaited}:
                case sides if len(sides) == 2:
                    return "waiting_both"
                case sides if "buyer" in sides:
                    return "waiting_buyer"
                case sides if "seller" in sides:
                    return "waiting_seller"
            return "processing"


def deadlines(case: Case) -> list[Deadline[MediationDeadline]]:
    if not isinstance(case, InRound):
        return []
    held: list[Deadline[MediationDeadline]] = [Deadline("mediation_max", case.file.dispute_id, case.round_ends_by)]
    if case.mediator_due_by is not None:
        held.append(Deadline("mediator_due", case.file.dispute_id, case.mediator_due_by))
    for question_id in {question_id for question_id, _ in case.awaited}:
        question = case.file.questions[question_id]
        held.append(Deadline("answer", question_id, question.answer_by))
        if question.remind_at is not None and case.file.claimed_minor:  # of gifts alone nobody is (R76)
            held.append(Deadline("answer_reminder", question_id, question.remind_at))
    return held


def no_right(case: Case, command: CaseCommand) -> Refusal | None:
    """Whether this person, in this role, may utter this here: the parties of the order, the mediator of the round."""
    file = case.file
    if isinstance(case, InRound):
        mediators = {case.mediator_id} if case.mediator_id is not None else set()
    else:
        mediators = {one for round_, one in file.sat if round_ == file.round}
    people: Mapping[Role, Collection[str]] = {
        "buyer": {file.buyer.id},
        "seller": {file.seller.id},
        "mediator": mediators,
    }
    if refusal := who_may(command, people):
        return refusal
    own = command.actor.role == "mediator" and command.actor.id in file.parties  # seated before that was a rule
    return OWN_CASE if own else None


def side_of(command: CaseCommand) -> Side:
    return "buyer" if command.actor.role == "buyer" else "seller"


def due_unless_asked(awaited: frozenset[Awaited], time: datetime, policy: Policy) -> datetime | None:
    """The mediator's clock runs while nobody else is to act (R48)."""
    return None if awaited else mediator_due_by(time, policy)


def asked_sides(to: Literal["buyer", "seller", "both"]) -> tuple[Side, ...]:
    return ("buyer", "seller") if to == "both" else (to,)


def open_offer(offers: Iterable[Offer], by: Side) -> Offer | None:
    """One offer per side is open: the newest (R20)."""
    return max((offer for offer in offers if offer.by == by), key=lambda offer: offer.offer_id, default=None)


def evolve(case: Case | None, event: CaseEvent) -> Case | None:
    match case, event:
        case _, MediationOpened():
            return _opened(case, event)
        case InRound(), MediationOverdue():
            return replace(case, mediator_id=None, mediator_due_by=event.mediator_due_by)
        case InRound(file=file), MediationAssigned(mediator=mediator):
            file = replace(file, sat=(*file.sat, (file.round, mediator.id)))
            return replace(case, file=file, mediator_id=mediator.id, mediator_due_by=event.mediator_due_by)
        case InRound(file=file), QuestionAsked(question_id=question_id):
            question = Question(asked_sides(event.to), event.answer_by, event.remind_at)
            file = replace(file, questions={**file.questions, question_id: question})
            awaited = case.awaited | {(question_id, side) for side in question.to}
            return replace(case, file=file, awaited=awaited, mediator_due_by=None)
        case InRound(), MediationReminded():
            return reminded(case, event.question_id)
        case InRound(file=file), QuestionAnswered():
            shown = tuple(FiledInRound(file.round, event.by, evidence.evidence_id) for evidence in event.evidence)
            return _heard_from(replace(case, file=replace(file, filed=file.filed + shown)), event)
        case InRound(), AnswerMissed():
            return _heard_from(case, event)
        case InRound(file=file), MediationOfferMade(offer_id=offer_id):
            solution = Offer(offer_id=offer_id, by=event.by, terms=event.terms)
            return replace(
                case,
                file=replace(file, last_offer_id=offer_id, solution_id=offer_id),
                solution=solution,
                declined=False,
            )
        case InRound(), MediationOfferDeclined():
            return replace(case, declined=True)
        case InRound(file=file), MediationOfferAccepted() | MediationCancelled() | MediationDefaulted(
            effect="cancelled"
        ):
            return ClosedCase(file)
        case InRound(file=file), MediationDecided() | MediationDefaulted():
            return DecidedCase(file, Ruling(event.refund_minor, event.return_required))
    return case


def noted(case: Case, event: CaseEvidenceNoted) -> Case:
    filed = tuple(FiledInRound(case.file.round, one.by, one.evidence_id) for one in event.filed)
    return replace(case, file=replace(case.file, filed=case.file.filed + filed))


def reminded(case: Case, question_id: str) -> Case:
    """Nobody is reminded of it any more."""
    questions = case.file.questions
    asked = {**questions, question_id: replace(questions[question_id], remind_at=None)}
    return replace(case, file=replace(case.file, questions=asked))


def _opened(case: Case | None, event: MediationOpened) -> InRound:
    """What was asked, shown and judged before stays on file; open offers are only those the event names."""
    before = case.file if case else None
    solution = open_offer(event.offers, "seller")
    known = before.filed if before else ()
    known_ids = {one.evidence_id for one in known}
    handed_over = (FiledInRound(0, one.by, one.evidence_id) for one in event.filed if one.evidence_id not in known_ids)
    file = CaseFile(
        order_id=event.order_id,
        dispute_id=event.dispute_id,
        round=event.round,
        buyer=event.buyer.only_id,  # an earlier version said more
        seller=event.seller.only_id,
        policy=event.policy,
        claimed_minor=event.claimed_minor,
        received=event.received is not False,
        claim=open_offer(event.offers, "buyer") or _whole_claim(event),
        last_offer_id=event.last_offer_id,
        solution_id=solution.offer_id if solution else None,
        return_contested=event.cause == "return_contested" or (before is not None and before.return_contested),
        questions=before.questions if before else {},
        filed=(*known, *handed_over),
        sat=before.sat if before else (),
    )
    return InRound(
        file,
        event.round_ends_by,
        event.mediator_due_by,
        solution=solution,
        appeal=AppealedRuling(event.appealed_by, case.ruling)
        if event.appealed_by and isinstance(case, DecidedCase)
        else None,
    )


def _whole_claim(event: MediationOpened) -> Offer:
    """The claim is always among the open offers; were it not, the buyer would be judged by all he could ask."""
    kind: Literal["refund", "replacement"] = "refund" if event.claimed_minor else "replacement"  # of a gift (R76)
    return Offer(offer_id=1, by="buyer", terms=Terms(kind=kind, refund_minor=event.claimed_minor))


def _heard_from(case: InRound, event: QuestionAnswered | AnswerMissed) -> InRound:
    awaited = case.awaited - {(event.question_id, event.by)}
    return replace(case, awaited=awaited, mediator_due_by=event.mediator_due_by)
