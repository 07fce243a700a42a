"""Who sees what of an order's history (docs/RULES.md §10): every event as the viewer may see it, or not at all.

Whoever shows history to people shows them this, and never the events themselves.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from schemas.dispute.events import DisputeRequested, OpenRefused
from schemas.mediation.events import MediationEvent, RosterEvent
from schemas.mediation.shapes import MediationStatus
from schemas.notification.events import NotificationSent
from schemas.notification.shapes import ToldRecipient
from schemas.payments.events import PaymentCaptured, PaymentEvent, PaymentReversed
from schemas.refund.events import ReviewAcknowledged, ReviewNeeded
from schemas.timer.events import TimerEvent
from schemas.wire import Event, Rejected, Repeated, Resumed

Viewer = Literal["buyer", "seller", "mediator", "operator"]

PARTIES: tuple[Literal["buyer", "seller"], ...] = ("buyer", "seller")
REMINDER = "reminder"
"""So the clocks end that remind somebody: whether he was is his matter (R68)."""
ADDRESS = {"email", "locale", "time_zone"}


@dataclass(frozen=True, slots=True)
class View:
    """One event as a viewer sees it: `data` as on the wire, but for what is not for him."""

    type: str
    data: dict[str, Any]


def history(events: Iterable[Event], viewer: Viewer) -> list[View]:
    """The projection of an order's public events, in order."""
    known = list(events)
    return [view(known[number], viewer) for number in seen(known, viewer)]


def seen(events: Sequence[Event], viewer: Viewer) -> list[int]:
    """Which of them, in order, are for him; a stranger's claim goes with its refusal (R77)."""
    numbers: list[int] = []
    for number, event in enumerate(events):
        if may_see(event, viewer):
            numbers.append(number)
        elif isinstance(event, OpenRefused):
            asked = [one for one in numbers if _asks_for(events[one], event.dispute_id)]
            numbers = [one for one in numbers if one != asked[-1]] if asked else numbers
    return numbers


def _asks_for(event: Event, dispute_id: str) -> bool:
    return isinstance(event, DisputeRequested) and event.dispute_id == dispute_id


def may_see(event: Event, viewer: Viewer) -> bool:
    """A refusal, or a word about a repeat, is for whoever asked, the machine's own bookkeeping for operators, all else
    for those it names."""
    match event:
        case Rejected(actor=actor) | Repeated(actor=actor):
            return viewer == "operator" or (actor is not None and actor.role == viewer)
        case TimerEvent() | PaymentEvent() | PaymentReversed() | PaymentCaptured() | RosterEvent() | Resumed():
            return viewer == "operator"
        case ReviewNeeded(leg="unasked") | ReviewAcknowledged(leg="unasked"):
            return viewer == "operator"  # perhaps the money of other people
        case _:
            return viewer in (getattr(event, "visible_to", None) or (viewer,))


def view(event: Event, viewer: Viewer) -> View:
    """What he sees of an event that is for him."""
    data = event.model_dump(mode="json")
    if viewer != "operator":
        data = without_addresses(data, viewer)
        if data.get("deadlines"):
            data["deadlines"] = [one for one in data["deadlines"] if not one["name"].endswith(REMINDER)]
        if isinstance(event, NotificationSent):
            data["recipients"] = [one.model_dump(mode="json") for one in told_to(event, viewer)]
            data["visible_to"] = [viewer, "operator"]
    if event.topic == MediationEvent.topic and data.get("status"):
        data["status"] = in_words(data["status"], viewer)
    return View(event.type, data)


def told_to(sent: NotificationSent, viewer: Viewer) -> list[ToldRecipient]:
    """Of whom he is shown that they were told: of nobody but himself, operators of all."""
    return [one for one in sent.recipients if viewer in (one.role, "operator")]


def in_words(status: MediationStatus, viewer: Viewer) -> str:
    """Each viewer's own name for where a case stands (R38)."""
    match status, viewer:
        case "waiting_both", _:
            return "waiting both parties' response"
        case "waiting_buyer" | "waiting_seller", "buyer" | "seller":
            mine = status == f"waiting_{viewer}"
            return "waiting my response" if mine else "waiting the other party's response"
        case "waiting_buyer" | "waiting_seller", _:
            return f"waiting the {status.removeprefix('waiting_')}'s response"
        case _:
            return status


def without_addresses(value: Any, viewer: Viewer | None = None, whose: str | None = None) -> Any:
    """JSON at every depth; but for the viewer's own. A mediator's is for operators alone: who sits now is not who sat
    before."""
    match value:
        case dict():
            return {
                name: without_addresses(part, viewer, name if name in PARTIES else whose)
                for name, part in value.items()
                if name not in ADDRESS or (whose is not None and whose == viewer)
            }
        case list():
            return [without_addresses(part, viewer, whose) for part in value]
    return value
