"""What the mediation service holds under one key: the cases of an order, or the roster of mediators.

What a case is, and how its events make it so, stands in case.py; the roster in roster.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from schemas.mediation.events import CaseEvent, MediationRejected, RosterEvent
from schemas.mediation.shapes import MediationClock, MediationDeadline
from schemas.wire import Event
from services.mediation import case as cases
from services.mediation import roster
from services.mediation.case import AnswerReminderLapsed, Case, CaseEvidenceNoted
from services.mediation.roster import Roster, RosterKept, SeatGiven, SeatNoted
from shared.kernel.decider import Deadline, in_order


@dataclass(frozen=True, slots=True)
class Cases:
    """All disputes of one order that ever came to mediation."""

    of: Mapping[str, Case] = field(default_factory=dict)


State = Cases | Roster


def evolve(state: State | None, event: Event) -> State | None:
    match event:
        case CaseEvent(dispute_id=dispute_id):
            known = state.of if isinstance(state, Cases) else {}
            case = cases.evolve(known.get(dispute_id), event)
            return Cases({**known, dispute_id: case}) if case else state
        case CaseEvidenceNoted(dispute_id=dispute_id) if isinstance(state, Cases) and dispute_id in state.of:
            return Cases({**state.of, dispute_id: cases.noted(state.of[dispute_id], event)})
        case AnswerReminderLapsed(dispute_id=dispute_id) if isinstance(state, Cases) and dispute_id in state.of:
            return Cases({**state.of, dispute_id: cases.reminded(state.of[dispute_id], event.question_id)})
        case RosterKept() if state is None:
            return roster.restored(event)
        case RosterEvent() | SeatNoted() | SeatGiven() | RosterKept():
            return roster.evolve(state if isinstance(state, Roster) else Roster(), event)
    return state


def deadlines(state: State | None) -> Iterable[Deadline[MediationDeadline]]:
    """The roster has none: a round that waits for a mediator has clocks of its own."""
    known = state.of.values() if isinstance(state, Cases) else ()
    return [deadline for case in known for deadline in cases.deadlines(case)]


def stamp(state: State | None, event: Event) -> dict[str, Any]:
    """Where the case stands after the event (R83)."""
    if isinstance(event, MediationRejected) and event.code == "not_allowed":
        return {}  # it may be a stranger's (R77)
    if isinstance(event, CaseEvent | MediationRejected) and isinstance(state, Cases):
        case = state.of.get(event.dispute_id or "")
        if case is not None:
            running = in_order(cases.deadlines(case), get_args(MediationDeadline))
            clocks = tuple(MediationClock(name=one.name, at=one.due_at) for one in running)
            return {"status": cases.status(case), "deadlines": clocks}
    return {}
