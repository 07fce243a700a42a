"""All disputes of one order: what is stored moves them on, which of their clocks run, and where they stand.

What one of them is stands in case.py, and how its events make it so in evolving.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from schemas.dispute import events
from schemas.wire import Actor, Event
from services.dispute.case import (
    RUNS,
    STATUS,
    ClosedDispute,
    DisputableUntilMoved,
    Dispute,
    DisputeDeadline,
    DisputeEvidenceNoted,
    FiledInStage,
    Refused,
    RequestedDispute,
)
from services.dispute.evolving import moved, noted
from shared.kernel.decider import Deadline

Disputes = Mapping[str, Dispute]
"""All disputes of one order, by `dispute_id`."""


def deadlines(disputes: Disputes | None) -> Iterable[Deadline[DisputeDeadline]]:
    for dispute in (disputes or {}).values():
        if isinstance(dispute, RequestedDispute | Refused):
            continue
        for name in RUNS.get(type(dispute), ()):
            if name in dispute.case.clocks:  # a final decision has no window
                yield Deadline(name, dispute.case.dispute_id, dispute.case.clocks[name])


def stamp(disputes: Disputes | None, event: Event) -> Mapping[str, Any]:
    """Where the dispute stands after the event."""
    if not isinstance(event, events.DisputeEvent | events.DisputeRejected):
        return {}
    dispute = (disputes or {}).get(event.dispute_id or "")
    return {"status": None if dispute is None else STATUS[type(dispute)]}


def evolve(disputes: Disputes | None, event: Event) -> Disputes | None:
    known = disputes or {}
    match event:
        case DisputableUntilMoved():
            return {
                dispute_id: dispute
                if isinstance(dispute, RequestedDispute | Refused | ClosedDispute)
                else replace(dispute, case=replace(dispute.case, disputable_until=event.disputable_until))
                for dispute_id, dispute in known.items()
            }
        case events.DisputeRequested(actor=Actor(id=buyer_id)):
            filed = tuple(FiledInStage(one.evidence_id, "buyer", "negotiation") for one in event.evidence)
            return {**known, event.dispute_id: RequestedDispute(buyer_id, event.received, event.terms, filed)}
        case DisputeEvidenceNoted() if event.dispute_id in known:
            return {**known, event.dispute_id: noted(known[event.dispute_id], event)}
        case events.DisputeEvent() if event.dispute_id in known:
            return {**known, event.dispute_id: moved(known[event.dispute_id], event)}
        case _:
            return disputes
