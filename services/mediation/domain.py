"""What can happen to an order's disputes in mediation, and to the roster of mediators (R36–R48).

The reserved key `mediators` holds the roster; every other stream is an order with its cases.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from schemas.dispute.events import DisputeAppealed, DisputeEscalated, EvidenceAdded
from schemas.dispute.shapes import FiledEvidence
from schemas.mediation.commands import (
    AcceptSolution,
    AnswerQuestion,
    AskQuestion,
    AssignMediator,
    CancelArbitration,
    CaseCommand,
    Decide,
    DeclineSolution,
    OfferSolution,
)
from schemas.mediation.events import CaseEvent, MediationRejected, MediationResumed, RosterEvent
from schemas.policy import Policy
from schemas.wire import MEDIATORS_KEY, Event, Message
from services.mediation import asking, deciding, offers, roster, seating
from services.mediation import case as cases
from services.mediation.case import Case, EvidenceNoted, InRound
from services.mediation.roster import Roster, SeatGiven, SeatNoted
from shared.kernel.decider import Deadline, Decider, Output, Refusal
from shared.rules.policies import Policies


@dataclass(frozen=True, slots=True)
class Cases:
    """All disputes of one order that ever came to mediation."""

    of: Mapping[str, Case] = field(default_factory=dict)


State = Cases | Roster

OBEY: dict[type[CaseCommand], Callable[[Case, Any, datetime, Policy], list[Output]]] = {
    AssignMediator: seating.assign,
    AskQuestion: asking.ask,
    AnswerQuestion: asking.answer,
    OfferSolution: offers.offer,
    AcceptSolution: offers.accept,
    DeclineSolution: offers.decline,
    Decide: deciding.decide,
    CancelArbitration: deciding.cancel,
}


def decide(state: State | None, message: Any, time: datetime, policies: Policies) -> list[Output]:
    if isinstance(message, Message) and message.key == MEDIATORS_KEY:
        return roster.decide(state if isinstance(state, Roster) else Roster(), message)
    known = state.of if isinstance(state, Cases) else {}
    match message:
        case Deadline():
            return _overdue(known, message, time, policies)
        case DisputeEscalated():
            return seating.escalated(known.get(message.dispute_id), message, time, policies)
        case DisputeAppealed():
            return seating.appealed(known.get(message.dispute_id), message, time, policies)
        case EvidenceAdded():
            return _noted(known.get(message.dispute_id), message)
        case CaseCommand(dispute_id=dispute_id) if dispute_id not in known:
            return [Refusal("not_found", f"There is no dispute {dispute_id} in mediation.")]
        case AskQuestion(question_id=one) if any(one in case.file.questions for case in known.values()):
            return [Refusal("already_exists", f"There is a question {one} under this order.")]
        case CaseCommand():
            case = known[message.dispute_id]
            return OBEY[type(message)](case, message, time, policies.of(case.file.policy))
    raise AssertionError(f"mediation hears no {type(message).__name__}")


def _noted(case: Case | None, event: EvidenceAdded) -> list[Output]:
    """Between rounds it is the dispute's, which hands it over with the next."""
    if not isinstance(case, InRound):
        return []
    filed = tuple(FiledEvidence(evidence_id=one.evidence_id, by=event.by) for one in event.evidence)
    return [EvidenceNoted(dispute_id=event.dispute_id, filed=filed)]


def _overdue(known: Mapping[str, Case], deadline: Deadline, time: datetime, policies: Policies) -> list[Output]:
    holder = next(case for case in known.values() if deadline in cases.deadlines(case))
    assert isinstance(holder, InRound)
    policy = policies.of(holder.file.policy)
    match deadline.name:
        case "answer":
            return asking.silence(holder, deadline, time, policy)
        case "mediator_due":
            return seating.overdue(holder, time, policy)
        case _:
            return deciding.run_out(holder, policy)


def evolve(state: State | None, event: Event) -> State | None:
    match event:
        case CaseEvent(dispute_id=dispute_id):
            known = state.of if isinstance(state, Cases) else {}
            case = cases.evolve(known.get(dispute_id), event)
            return Cases({**known, dispute_id: case}) if case else state
        case EvidenceNoted(dispute_id=dispute_id) if isinstance(state, Cases) and dispute_id in state.of:
            return Cases({**state.of, dispute_id: cases.noted(state.of[dispute_id], event)})
        case RosterEvent() | SeatNoted() | SeatGiven():
            return roster.evolve(state if isinstance(state, Roster) else Roster(), event)
    return state


def deadlines(state: State | None) -> Iterable[Deadline]:
    """The roster has none: a round that waits for a mediator has clocks of its own."""
    known = state.of.values() if isinstance(state, Cases) else ()
    return [deadline for case in known for deadline in cases.deadlines(case)]


def stamp(state: State | None, event: Event) -> dict[str, Any]:
    if isinstance(event, CaseEvent | MediationRejected) and isinstance(state, Cases):
        case = state.of.get(event.dispute_id or "")
        return {"status": cases.status(case)} if case else {}
    return {}


DECIDER = Decider[State](
    service="mediation",
    decide=decide,
    evolve=evolve,
    deadlines=deadlines,
    rejected=MediationRejected,
    resumed=MediationResumed,
    hears=(DisputeEscalated, DisputeAppealed, EvidenceAdded),
    stamp=stamp,
    deadline_names=("answer", "mediator_due", "mediation_max"),
)
