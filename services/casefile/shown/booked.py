"""The money of an order: what each event moves (R22), where it ends, and how each movement of it stands (R52)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from schemas.refund.events import (
    ChargedBack,
    DoneEvent,
    PaidOut,
    PendingEvent,
    RefundCaptured,
    RefundEvent,
    RefundRequested,
    RefundSettled,
    RefundSubmitted,
    ReviewNeeded,
)
from schemas.wire import Event
from services.casefile.foresight.oracle import Foreseen
from services.casefile.shown.shapes import Booked, EndShown, Leg
from services.casefile.shown.told import ToldEvent
from services.refund.ledger import entry


def moved(event: Event) -> Mapping[str, int]:
    """Account -> what it has more, in minor units, or less: `escrow`, `buyer`, `seller`, `platform`. That the buyer has
    paid is not told of him: he is told what comes back."""
    made = entry(event)
    if made is None:
        return {}
    more = {_kind(made.to_account): made.amount_minor, _kind(made.from_account): -made.amount_minor}
    return {kind: minor for kind, minor in more.items() if not (isinstance(event, RefundCaptured) and kind == "buyer")}


def ends(known: Iterable[tuple[datetime, Event]]) -> EndShown:
    """Of all that was said of an order and will be, private events too; of one that was never paid there is no end."""
    sums: Counter[str] = Counter()
    last: datetime | None = None
    for at, event in known:
        if more := moved(event):
            sums.update(more)
            last = max(at, last or at)
    return EndShown(
        at=last if sums["escrow"] == 0 else None,
        buyer_minor=sums["buyer"],
        seller_minor=sums["seller"],
        commission_minor=sums["platform:commission"],
        held_minor=sums["escrow"],
    )


def _kind(account: str) -> str:
    kind = account.partition(":")[0]
    return account if kind == "platform" else kind


def ledger(seen: Sequence[ToldEvent], private: Iterable[Foreseen]) -> list[Booked]:
    """The entries that follow from what he sees, in order; what the refund service books of itself (R69) goes with the
    event that it was told of the settlement by."""
    causes: dict[str, str] = {}
    for one in seen:
        if (settlement_id := getattr(one.event, "settlement_id", None)) is not None:
            causes.setdefault(settlement_id, one.id)
    booked = [_booked(one.at, one.event, one.id) for one in seen if entry(one.event)]
    for kept in private:
        event: Any = kept.event
        if entry(event) and event.settlement_id in causes:
            booked.append(_booked(kept.at, event, causes[event.settlement_id]))
    return sorted(booked, key=lambda one: one.at)


def _booked(at: datetime, event: Any, id_: str) -> Booked:
    made = entry(event)
    assert made is not None
    said = {name: getattr(event, name, None) for name in ("settlement_id", "leg", "payment_key", "provider_reference")}
    return Booked(
        at=at,
        event=event.type.rpartition(".")[0],
        from_account=made.from_account,
        to_account=made.to_account,
        amount_minor=made.amount_minor,
        event_id=id_,
        **said,
    )


CAPTURED: Mapping[str, Any] = {"stage": "captured", "due_by": None}
"""What is told of the buyer's payment as one of an order, and not of a movement."""


def legs(seen: Iterable[ToldEvent]) -> list[Leg]:
    """As the newest event of each says, in the order in which they began."""
    known: dict[tuple[str, str], Leg] = {}
    for one in seen:
        if isinstance(one.event, RefundCaptured):
            known |= {place: leg.model_copy(update=CAPTURED) for place, leg in known.items() if leg.leg == "capture"}
        if isinstance(one.event, RefundEvent):
            place = (one.event.settlement_id, one.event.leg)
            known[place] = _leg(known.get(place), one.event)
    return [*known.values()]


def _leg(before: Leg | None, event: RefundEvent) -> Leg:
    leg = before or Leg(settlement_id=event.settlement_id, leg=event.leg, stage=event.stage, amount_minor=0)
    update: dict[str, Any] = {"stage": event.stage}
    if event.stage != "manual_review":
        update["review_reason"] = None
    match event:
        case RefundRequested(answer_by=datetime()):
            update |= {"attempts": 1}
        case RefundSubmitted():
            update |= {"attempts": event.attempt}
        case ReviewNeeded():
            update |= {"review_reason": event.reason}
        case DoneEvent():
            update |= {"provider_reference": event.provider_reference}
    if isinstance(event, RefundSettled):
        update["amount_minor"] = event.refund_minor
    elif before is None or isinstance(event, PaidOut | ChargedBack | RefundSubmitted):
        update["amount_minor"] = getattr(event, "amount_minor", 0)
    if isinstance(event, PendingEvent):
        update["due_by"] = event.due_by
    return leg.model_copy(update=update)
