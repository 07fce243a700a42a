"""The rows of the lists, told event by event: an order's, and a dispute's in the work list.

A row is folded from public events, each once. The events of one topic come in their order; between topics there is
none, so a row may begin with any of its events and what it is missing is filled in when it is said. Status words are
the services' own here; a viewer is shown his (`seen_by`).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from schemas.dispute.events import DisputeEvent, DisputeRequested, OpenRefused
from schemas.instants import from_ms, to_ms
from schemas.mediation.events import CaseEvent
from schemas.order.event import OrderEvent
from schemas.order.events import Placed
from schemas.refund.events import MoneyHeld, MoneyUnheld
from schemas.visibility import Viewer, in_words
from schemas.wire import Event, Reply
from services.casefile.shown.shapes import CaseRow, ClockShown, OrderRow

NOT_SAID_YET = "X" * 3
"""ISO 4217: no currency."""
CLOCKS: Mapping[str, str] = {
    "payment_by": "payment_window",
    "processing_ends_at": "processing_ends",
    "rest_ships_by": "processing_ends",
    "protection_ends_at": "protection_ends",
    "seller_answer_by": "seller_first_response",
    "escalates_at": "auto_escalation",
    "appeal_until": "appeal_window",
    "return_ship_by": "return_ship",
    "return_confirm_by": "return_confirm",
    "replacement_ship_by": "replacement_ship",
    "replacement_confirm_by": "replacement_confirm",
    "answer_by": "answer",
    "mediator_due_by": "mediator_due",
    "round_ends_by": "mediation_max",
}
"""Field of an event -> the clock that it tells of: of events from before `deadlines` was stamped on them."""
FIRST = {name: number for number, name in enumerate(dict.fromkeys(CLOCKS.values()))}
"""Which of two of one instant happens first (docs/RULES.md, timer service)."""
RUNNING: Mapping[str, Sequence[str]] = {
    "awaiting_payment": ("payment_window",),
    "awaiting_shipment": ("processing_ends",),
    "awaiting_confirmation": ("processing_ends", "protection_ends"),
    "disputed": ("processing_ends",),
    "awaiting_seller": ("seller_first_response", "auto_escalation"),
    "negotiating": ("auto_escalation",),
    "decided": ("appeal_window",),
    "awaiting_return": ("return_ship",),
    "return_shipped": ("return_confirm",),
    "awaiting_replacement": ("replacement_ship",),
    "replacement_shipped": ("replacement_confirm",),
    "processing": ("mediator_due", "mediation_max"),
    "waiting_buyer": ("answer", "mediation_max"),
    "waiting_seller": ("answer", "mediation_max"),
    "waiting_both": ("answer", "mediation_max"),
}
"""Where it stands -> the clocks that surely run there: for the same events."""
OF_MEDIATION = ("answer", "mediator_due", "mediation_max")
WAITS_FOR: Mapping[str, Sequence[str]] = {
    "awaiting_seller": ("seller",),
    "awaiting_return": ("buyer",),
    "return_shipped": ("seller",),
    "awaiting_replacement": ("seller",),
    "replacement_shipped": ("buyer",),
    "processing": ("mediator",),
    "waiting_buyer": ("buyer",),
    "waiting_seller": ("seller",),
    "waiting_both": ("buyer", "seller"),
}
"""Of a decision that stands unless somebody appeals nobody's turn it is."""
TURNS: Mapping[str, Sequence[str]] = {"payment_window": ("provider",), "processing_ends": ("seller",)}
"""Of an order: the clock -> whom it waits for."""
OTHER = {"buyer": "seller", "seller": "buyer"}


def order_row(row: OrderRow | None, event: Event, at: datetime) -> OrderRow | None:
    """The order after this event; None: nothing is known of it yet."""
    at = from_ms(to_ms(at))
    match event:
        case Reply():
            return row
        case MoneyHeld() | MoneyUnheld():
            row = row or _unplaced(event, at)
            update = {"on_hold": isinstance(event, MoneyHeld), "updated_at": _updated(row, event, at)}
            return row.model_copy(update=update)
        case Placed():
            row = (row or _unplaced(event, at)).model_copy(
                update={
                    "buyer": event.buyer.id,
                    "seller": event.seller.id,
                    "currency": event.currency,
                    "total_minor": event.total_minor,
                    "placed_at": at,
                }
            )
        case OrderEvent():
            row = row or _unplaced(event, at)
        case _:
            return row
    return row.model_copy(
        update={
            "status": event.status,
            "updated_at": _updated(row, event, at),
            "deadlines": clocks(row.deadlines, event),
        }
    )


def order_waits_for(row: OrderRow) -> list[str]:
    """Whose turn it is to get the order on; nobody's while only its time passes."""
    return sorted({role for one in row.deadlines for role in TURNS.get(one.name, ())})


def case_row(row: CaseRow | None, event: Event, at: datetime) -> CaseRow | None:
    """The dispute that the event names (`dispute_id`) after it; None: there is none, or none that stays (R77)."""
    if not isinstance(event, DisputeEvent | CaseEvent):
        return row
    if isinstance(event, OpenRefused) and event.visible_to is not None:
        return None
    at = from_ms(to_ms(at))
    row = row or _unopened(event, at)
    said: Any = event
    update: dict[str, Any] = {
        **_who(event),
        "round": max(row.round, getattr(said, "round", 0)),
        "is_appeal": row.is_appeal or said.type == "dispute.appealed.v1" or bool(getattr(said, "appealed_by", None)),
        "evidence": _evidence(row, said),
        "updated_at": _updated(row, event, at),
    }
    if getattr(said, "reason", None) and said.type in ("dispute.requested.v1", "dispute.modified.v1"):
        update["reason"] = said.reason
    for name in ("currency", "claimed_minor"):
        if getattr(said, name, None) is not None:
            update[name] = getattr(said, name)
    if isinstance(event, DisputeRequested):
        update["opened_at"] = at
    if isinstance(event, CaseEvent):
        update |= {"mediation_status": said.status, **_seat(row, said)}
    else:
        update["dispute_status"] = said.status
    return _whose_turn(row, row.model_copy(update=update), said)


def seen_by(row: CaseRow, viewer: Viewer) -> CaseRow:
    """The same in the viewer's words (R38)."""
    status: Any = row.mediation_status
    if status is None:
        return row
    word = in_words(status, viewer)
    return row.model_copy(
        update={"mediation_status": word, "status": word if row.status == row.mediation_status else row.status}
    )


def clocks(before: Iterable[ClockShown], event: Event) -> list[ClockShown]:
    """Those of the event's service that run after it, the earliest first. That somebody will be reminded, or was, is
    not told here: it changes nothing, and not everybody is shown it."""
    said: Any = event
    stamped = getattr(said, "deadlines", None)
    if stamped is not None:
        running = [ClockShown(name=one.name, at=one.at) for one in stamped if not one.name.endswith("reminder")]
    else:
        named: dict[str, datetime | None] = {one.name: one.at for one in before}
        named |= {clock: getattr(said, field) for field, clock in CLOCKS.items() if hasattr(said, field)}
        runs = RUNNING.get(said.status, ())
        running = [ClockShown(name=name, at=at) for name, at in named.items() if at is not None and name in runs]
    return sorted(running, key=_soonest)


def _soonest(clock: ClockShown) -> tuple[datetime, int]:
    return clock.at, FIRST.get(clock.name, len(FIRST))


def _unplaced(event: Event, at: datetime) -> OrderRow:
    return OrderRow(
        order_id=event.order_id,
        buyer="",
        seller="",
        status="",
        currency=NOT_SAID_YET,
        total_minor=0,
        placed_at=at,
        updated_at=at,
    )


def _unopened(event: Any, at: datetime) -> CaseRow:
    """Nobody's yet: whose it is the dispute says when it is opened."""
    return CaseRow(
        order_id=event.order_id,
        dispute_id=event.dispute_id,
        buyer="",
        seller="",
        status="requested",
        dispute_status="requested",
        waiting_for=[],
        due_at=None,
        round=0,
        reason="",
        currency=NOT_SAID_YET,
        claimed_minor=0,
        evidence={"buyer": 0, "seller": 0},
        opened_at=at,
        updated_at=at,
    )


def _updated(row: OrderRow | CaseRow, event: Any, at: datetime) -> datetime:
    """What is not for everybody leaves no trace in what everybody is shown (C9)."""
    return row.updated_at if getattr(event, "visible_to", None) else max(at, row.updated_at)


def _who(event: Any) -> dict[str, str]:
    return {side: getattr(event, side).id for side in ("buyer", "seller") if getattr(event, side, None) is not None}


def _seat(row: CaseRow, event: Any) -> dict[str, Any]:
    """Whose it is, and whose it ever was."""
    match event.type:
        case "mediation.opened.v1" | "mediation.assigned.v1":
            sits = None if event.mediator is None else event.mediator.id
        case "mediation.overdue.v1":
            sits = None
        case _:
            return {}
    sat = row.mediators if sits is None or sits in row.mediators else [*row.mediators, sits]
    return {"mediator": sits, "mediators": sat}


def _evidence(row: CaseRow, event: Any) -> dict[str, int]:
    shown = len(getattr(event, "evidence", ()))
    if not shown:
        return row.evidence
    side = getattr(event, "by", None) or event.actor.role
    return row.evidence | {side: row.evidence.get(side, 0) + shown}


def _whose_turn(before: CaseRow, row: CaseRow, event: Any) -> CaseRow:
    """Where it stands as a whole, who it waits for and until when: while a mediator has it, as mediation says."""
    ours = isinstance(event, CaseEvent)
    mine = [one for one in row.deadlines if (one.name in OF_MEDIATION) == ours]
    theirs = [one for one in row.deadlines if (one.name in OF_MEDIATION) != ours]
    running = sorted([*clocks(mine, event), *theirs], key=_soonest)
    is_judged = row.dispute_status == "in_mediation"
    judged = row.mediation_status if is_judged else None
    due = next((one for one in running if (one.name in OF_MEDIATION) == is_judged), None)
    status = judged or row.dispute_status
    waiting_for: Sequence[str] = WAITS_FOR.get(status, ())
    if judged == "processing" and row.mediator is None:
        waiting_for = ("operator",)
    elif judged in ("decided", "closed"):
        waiting_for = ()  # the dispute service hears it next
    elif status == "negotiating":
        offered = event.type == "dispute.offer_made.v1"
        waiting_for = [OTHER[event.by]] if offered else before.waiting_for
    return row.model_copy(
        update={
            "deadlines": running,
            "status": status,
            "waiting_for": list(waiting_for),
            "due_at": due and due.at,
            "due_what": due and due.name,
        }
    )
