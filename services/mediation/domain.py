"""What can happen to an order's disputes in mediation, and to the roster of mediators (R36–R48).

The reserved key `mediators` holds the roster; every other stream is an order with its cases.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import assert_never, get_args

from schemas.dispute.events import DisputeAppealed, DisputeEscalated, EvidenceAdded
from schemas.dispute.shapes import FiledEvidence
from schemas.mediation.commands import (
    AcceptSolution,
    AnswerQuestion,
    AskQuestion,
    AssignMediator,
    CancelArbitration,
    Decide,
    DeclineSolution,
    MediationResume,
    OfferSolution,
    RegisterMediator,
    RetireMediator,
    Seat,
)
from schemas.mediation.events import MediationRejected, MediationRepeated, MediationResumed
from schemas.mediation.shapes import MediationDeadline
from schemas.policy import Policy
from schemas.wire import MEDIATORS_KEY
from services.mediation import asking, deciding, offers, roster, seating
from services.mediation import case as cases
from services.mediation.case import Case, CaseEvidenceNoted, InRound
from services.mediation.roster import Roster
from services.mediation.states import Cases, State, deadlines, evolve, stamp
from services.mediation.subscriptions import BETWEEN_STREAMS, SUBSCRIPTIONS, Foreign, Told
from shared.kernel.decider import Deadline, Decider, Output, Refusal
from shared.kernel.policies import Policies

Act = (
    AssignMediator
    | AskQuestion
    | AnswerQuestion
    | OfferSolution
    | AcceptSolution
    | DeclineSolution
    | Decide
    | CancelArbitration
)
"""What is done in a case."""
Commands = RegisterMediator | RetireMediator | Act


def decide(state: State | None, command: Commands, now: datetime, policies: Policies) -> Sequence[Output]:
    if command.key == MEDIATORS_KEY:
        return roster.decide(state if isinstance(state, Roster) else Roster(), command)
    assert not isinstance(command, RegisterMediator | RetireMediator)  # they have no other key
    known = _cases(state)
    case = known.get(command.dispute_id)
    if case is None:
        return [Refusal("not_found", f"There is no dispute {command.dispute_id} in mediation.")]
    if isinstance(command, AskQuestion) and any(command.question_id in one.file.questions for one in known.values()):
        return [Refusal("already_exists", f"There is a question {command.question_id} under this order.")]
    return _obey(case, command, now, policies.of(case.file.policy))


def _obey(case: Case, command: Act, now: datetime, policy: Policy) -> Sequence[Output]:
    match command:
        case AssignMediator():
            return seating.assign(case, command, now, policy)
        case AskQuestion():
            return asking.ask(case, command, now, policy)
        case AnswerQuestion():
            return asking.answer(case, command, now, policy)
        case OfferSolution():
            return offers.offer(case, command, policy)
        case AcceptSolution():
            return offers.accept(case, command)
        case DeclineSolution():
            return offers.decline(case, command)
        case Decide():
            return deciding.decide(case, command)
        case CancelArbitration():
            return deciding.cancel(case, command, policy)
        case _:
            assert_never(command)


def react(state: State | None, event: Foreign | Told, now: datetime, policies: Policies) -> Sequence[Output]:
    if isinstance(event, Seat):
        return roster.hear(state if isinstance(state, Roster) else Roster(), event)
    if event.key == MEDIATORS_KEY:
        return []  # no order has this key, so no dispute of one can come here
    case = _cases(state).get(event.dispute_id)
    match event:
        case AssignMediator():
            return seating.given(case, event, now, policies)
        case DisputeEscalated():
            return seating.escalated(case, event, now, policies)
        case DisputeAppealed():
            return seating.appealed(case, event, now, policies)
        case EvidenceAdded():
            return _noted(case, event)
        case _:
            assert_never(event)


def expire(
    state: State | None, deadline: Deadline[MediationDeadline], now: datetime, policies: Policies
) -> Sequence[Output]:
    holder = next(case for case in _cases(state).values() if deadline in cases.deadlines(case))
    assert isinstance(holder, InRound)
    policy = policies.of(holder.file.policy)
    match deadline.name:
        case "answer":
            return asking.silence(holder, deadline, now, policy)
        case "mediator_due":
            return seating.overdue(holder, now, policy)
        case "mediation_max":
            return deciding.run_out(holder, policy)
        case "answer_reminder":
            return asking.remind(holder, deadline.subject, now, policy)
        case _:
            assert_never(deadline.name)


def _cases(state: State | None) -> Mapping[str, Case]:
    return state.of if isinstance(state, Cases) else {}


def _noted(case: Case | None, event: EvidenceAdded) -> Sequence[Output]:
    """When the round is over, too: whether it was over before is told nobody."""
    if case is None:
        return []
    filed = tuple(FiledEvidence(evidence_id=one.evidence_id, by=event.by) for one in event.evidence)
    return [CaseEvidenceNoted(dispute_id=event.dispute_id, filed=filed)]


DECIDER: Decider[State, Commands, Foreign | Told] = Decider(
    service="mediation",
    commands=get_args(Commands),
    decide=decide,
    subscriptions=SUBSCRIPTIONS,
    between_streams=BETWEEN_STREAMS,
    react=react,
    deadlines=deadlines,
    deadline_names=get_args(MediationDeadline),
    expire=expire,
    evolve=evolve,
    stamp=stamp,
    rejected=MediationRejected,
    repeated=MediationRepeated,
    resume=MediationResume,
    resumed=MediationResumed,
)
