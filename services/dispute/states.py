"""All disputes of one order: what is stored moves them on, which of their clocks run, and where they stand.

What one of them is stands in case.py, and how its events make it so in evolving.py.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from schemas.dispute import events
from schemas.dispute.shapes import DisputeClock, DisputeDeadline
from schemas.wire import Actor, Event
from services.dispute.case import (
    RUNS,
    STATUS,
    DisputableUntilMoved,
    Dispute,
    DisputeEvidenceNoted,
    DisputeReminderLapsed,
    FiledInStage,
    PartiesNoted,
    Refused,
    RequestedDispute,
)
from services.dispute.evolving import lapsed, moved, noted
from shared.kernel.decider import Deadline, in_order


@dataclass(frozen=True, slots=True)
class Disputes(Mapping[str, Dispute]):
    """All disputes of one order, by `dispute_id`."""

    of: Mapping[str, Dispute] = field(default_factory=dict)
    buyer_id: str | None = None
    seller_id: str | None = None
    """None: the order service has not said yet whose order it is, or said it before we listened."""

    def __getitem__(self, dispute_id: str) -> Dispute:
        return self.of[dispute_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self.of)

    def __len__(self) -> int:
        return len(self.of)

    def put(self, dispute_id: str, dispute: Dispute) -> "Disputes":
        return replace(self, of={**self.of, dispute_id: dispute})


def deadlines(disputes: Disputes | None) -> Iterable[Deadline[DisputeDeadline]]:
    for dispute in disputes.values() if disputes is not None else ():
        yield from _running(dispute)


def _running(dispute: Dispute) -> Iterable[Deadline[DisputeDeadline]]:
    if isinstance(dispute, RequestedDispute | Refused):
        return
    for name in RUNS.get(type(dispute), ()):
        if name == "reminder" and not any(line.amount_minor for line in dispute.case.lines):
            continue  # of gifts alone nobody is reminded (R76)
        if name in dispute.case.clocks:  # a final decision has no window
            yield Deadline(name, dispute.case.dispute_id, dispute.case.clocks[name])


def stamp(disputes: Disputes | None, event: Event) -> Mapping[str, Any]:
    """Where the dispute stands after the event (R83)."""
    if not isinstance(event, events.DisputeEvent | events.DisputeRejected):
        return {}
    if isinstance(event, events.OpenRefused):
        return {"status": "closed", "deadlines": ()}
    if isinstance(event, events.DisputeRejected) and event.code == "not_allowed":
        return {"status": None}  # it may be a stranger's (R77)
    dispute = None if disputes is None else disputes.get(event.dispute_id or "")
    if dispute is None:
        return {"status": None}
    running = in_order(_running(dispute), get_args(DisputeDeadline))
    clocks = tuple(DisputeClock(name=one.name, at=one.due_at) for one in running)
    return {"status": STATUS[type(dispute)], "deadlines": clocks}


def evolve(disputes: Disputes | None, event: Event) -> Disputes | None:
    known = disputes if disputes is not None else Disputes()
    match event:
        case PartiesNoted():
            return replace(known, buyer_id=event.buyer_id, seller_id=event.seller_id)
        case DisputableUntilMoved():
            moved_on = {
                dispute_id: dispute
                if isinstance(dispute, RequestedDispute | Refused)
                else replace(dispute, case=replace(dispute.case, disputable_until=event.disputable_until))
                for dispute_id, dispute in known.items()
            }
            return replace(known, of=moved_on)
        case events.DisputeRequested(actor=Actor(id=buyer_id)):
            filed = tuple(FiledInStage(one.evidence_id, "buyer", "negotiation") for one in event.evidence)
            requested = RequestedDispute(buyer_id, event.received, event.terms, filed, event.command_id)
            return known.put(event.dispute_id, requested)
        case events.OpenRefused(visible_to=(*_,)):  # a stranger's: the name is free again
            return replace(known, of={name: one for name, one in known.items() if name != event.dispute_id})
        case DisputeEvidenceNoted() if event.dispute_id in known:
            return known.put(event.dispute_id, noted(known[event.dispute_id], event))
        case DisputeReminderLapsed() if event.dispute_id in known:
            return known.put(event.dispute_id, lapsed(known[event.dispute_id]))
        case events.DisputeEvent() if event.dispute_id in known:
            return known.put(event.dispute_id, moved(known[event.dispute_id], event))
        case _:
            return disputes
