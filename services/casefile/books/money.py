"""The money of an order from the topics alone: every entry of its books, and where each movement of it stands.

The refund service's own fold and its own table of postings are asked, so nothing here knows a rule. What it keeps to
itself is brought about again: the platform's part of a release is said to nobody (R69), so it is decided anew, by the
very decider, on what had been said by then.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from schemas.instants import from_ms
from schemas.order.events import Cancelled, LinesReleased, Placed, Settled
from schemas.refund.events import MoneyHeld, MoneyUnheld, RefundCaptured, RefundEvent, RefundOverdue, ReviewNeeded
from schemas.wire import Event, Message, Reply
from services.composition import DECIDERS
from services.refund.ledger import entry
from services.refund.movement import CaptureLapsed, CommissionReturned, CommissionTaken, leg_key
from services.refund.requesting import capture, commission, movements
from services.refund.states import Done, Order, Pending, State, deadlines, evolve, stage
from shared.kernel.codec import header
from shared.kernel.policies import Policies
from shared.kernel.ports import Input, Record
from shared.kernel.stream import Stream, handle

SAID_OF_MONEY = "refund.events"
ASKED_OF_MONEY = frozenset(("order.events", model.type) for model in (Placed, Cancelled, LinesReleased, Settled))
"""(topic, type) of what else the books follow from."""
SHARES = (CommissionTaken, CommissionReturned)


class LedgerEntry(NamedTuple):
    """`amount_minor` leaves one account and arrives at the other. `payment_id` is the buyer's payment, where it went
    out of it or back over it; `payment_key` the movement at the provider; what is not there is None."""

    entry_id: str
    """Of the event that it follows from."""
    order_id: str
    event_type: str
    booked_at: datetime
    currency: str
    from_account: str
    to_account: str
    amount_minor: int
    settlement_id: str | None
    leg: str | None
    payment_id: str | None
    payment_key: str | None
    provider_reference: str | None


class MoneyMovement(NamedTuple):
    """A movement as it stands (R52); of what nobody asked for leg `unasked` (R62), of the buyer's payment `capture`."""

    order_id: str
    settlement_id: str
    leg: str
    stage: str
    amount_minor: int
    """Still to be moved; once it is settled what was."""
    currency: str
    requested_at: datetime
    since: datetime
    """When the newest was said of it."""
    due_by: datetime
    next_at: datetime | None
    """When a clock of it runs out; None: none runs."""
    attempts: int
    payment_key: str | None
    provider_reference: str | None
    overdue_since: datetime | None
    """None: it is not, or done."""
    review_since: datetime | None
    """None: nobody needs to look at it."""
    review_reason: str | None
    review_says: Mapping[str, Any]
    """What the provider said of it last."""


@dataclass(frozen=True)
class Hold:
    """No money of the order is sent (R63)."""

    since: datetime
    cause: str
    reason: str


@dataclass
class Books:
    """Of one order."""

    entries: list[LedgerEntry] = field(default_factory=list)
    movements: list[MoneyMovement] = field(default_factory=list)
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class _Said:
    id: str
    cause: str
    at: datetime
    """Of the input that it follows from, as the service had it."""
    event: Any


def concerns_money(record: Record) -> bool:
    """Whether the books of its order may change with it."""
    type_ = header(record.headers, "ce_type") or ""
    model = Message.MODELS.get(type_)
    if record.topic == SAID_OF_MONEY:
        return model is not None and not issubclass(model, Reply)
    return (record.topic, type_) in ASKED_OF_MONEY


def books(order_id: str, records: Iterable[Record], policies: Policies) -> Books:
    """`records`: all that was said of the order; of others than `concerns_money` nothing is looked at. In any order
    between topics, for there is none."""
    said, asked = _read(records)
    return _Fold(order_id, asked, policies).through(said)


def _read(records: Iterable[Record]) -> tuple[list[_Said], dict[str, _Said]]:
    """What the refund service said, in order, each once; and by their ids what was asked of it, with its time there."""
    said: dict[str, _Said] = {}
    asked: dict[str, _Said] = {}
    for record in sorted(filter(concerns_money, records), key=lambda one: (one.partition, one.offset)):
        id_ = header(record.headers, "ce_id") or ""
        event = Message.MODELS[header(record.headers, "ce_type") or ""].read(record.value or b"")
        cause = header(record.headers, "ce_causationid") or ""
        if record.topic == SAID_OF_MONEY:
            at = datetime.fromisoformat(header(record.headers, "ce_time") or "")
            said.setdefault(id_, _Said(id_, cause, at, event))
        else:
            asked.setdefault(id_, _Said(id_, cause, from_ms(record.timestamp), event))
    return list(said.values()), asked


@dataclass
class _Track:
    """What the refund service's state does not say of a movement."""

    requested_at: datetime
    since: datetime
    overdue_since: datetime | None = None
    review_since: datetime | None = None
    review: ReviewNeeded | None = None


class _Fold:
    def __init__(self, order_id: str, asked: Mapping[str, _Said], policies: Policies) -> None:
        self.order_id, self.policies = order_id, policies
        self.books = Books()
        self.state: State | None = None
        self._tracks: dict[str, _Track] = {}
        self._lapsed: Cancelled | None = None
        self._unshared: dict[str, _Said] = {}
        """By its id what gives the platform its part, and is not answered yet."""
        for one in asked.values():
            match one.event:
                case Placed() if self.state is None:
                    self._evolve(capture(one.event))
                case Cancelled(cause="not_paid"):
                    self._lapsed = one.event
                case LinesReleased() | Settled() if commission(one.event):
                    self._unshared[one.id] = one

    def through(self, said: Sequence[_Said]) -> Books:
        for one in list(self._unshared.values()):
            if not movements(one.event):  # nobody is called, so no word aloud follows
                self._share(one.id, one.at)
        for one in said:
            self._share(one.cause, one.at)
            self._take(one)
        if self._lapsed and isinstance(self.state, Order) and not self.state.is_captured:
            self._evolve(CaptureLapsed(settlement_id=self._lapsed.settlement_id))
        self.books.movements = [*self._movements()]
        return self.books

    def _evolve(self, event: Event) -> None:
        self.state = evolve(self.state, event)

    def _take(self, one: _Said) -> None:
        self._evolve(one.event)
        match one.event:
            case MoneyHeld():
                self.books.hold = Hold(one.at, one.event.cause, one.event.reason)
            case MoneyUnheld():
                self.books.hold = None
            case RefundEvent():
                self._track(one.event, one.at)
        self._book(one)

    def _share(self, cause: str, at: datetime) -> None:
        """What the service decided with this, and said to nobody: on what it knew when it came to it."""
        asked = self._unshared.pop(cause, None)
        if asked is None or not isinstance(self.state, Order):
            return
        stream: Stream[Any] = Stream(self.order_id, self.state)
        found = Input(asked.event, asked.event.type, self.order_id, asked.id, at, asked.id)
        for outgoing in handle(DECIDERS["refund"], stream, found, self.policies, {}):
            if isinstance(outgoing.message, SHARES):
                self._evolve(outgoing.message)
                self._book(_Said(outgoing.id, cause, at, outgoing.message))

    def _book(self, one: _Said) -> None:
        event = one.event
        if (made := entry(event)) is None:
            return
        settlement_id, leg = getattr(event, "settlement_id", None), getattr(event, "leg", None)
        of_payment = isinstance(event, RefundCaptured) or leg == "refund"
        self.books.entries.append(
            LedgerEntry(
                one.id,
                self.order_id,
                event.type,
                one.at,
                *made,
                settlement_id=settlement_id,
                leg=leg,
                payment_id=self.state.capture.payment_id if of_payment and isinstance(self.state, Order) else None,
                payment_key=self._payment_key(event),
                provider_reference=getattr(event, "provider_reference", None),
            )
        )

    def _payment_key(self, event: Any) -> str | None:
        if not isinstance(event, RefundEvent):
            return None
        if named := getattr(event, "payment_key", None):
            return str(named)
        key = leg_key(event.settlement_id, event.leg)
        leg = self.state.legs.get(key) if self.state else None
        return leg.movement.payment_key if isinstance(leg, Done) else key

    def _track(self, event: RefundEvent, at: datetime) -> None:
        key = leg_key(event.settlement_id, event.leg)
        track = self._tracks.setdefault(key, _Track(at, at))
        track.since = at
        leg = self.state.legs.get(key) if self.state else None
        if isinstance(event, RefundOverdue):
            track.overdue_since = track.overdue_since or at
        elif isinstance(leg, Done):
            track.overdue_since = None
        if isinstance(event, ReviewNeeded):
            track.review_since, track.review = track.review_since or at, event
        elif leg is None or stage(leg) != "manual_review":
            track.review_since = track.review = None

    def _movements(self) -> Iterator[MoneyMovement]:
        clocks: dict[str, datetime] = {}
        for one in deadlines(self.state):
            clocks[one.subject] = min(one.due_at, clocks.get(one.subject, one.due_at))
        for key, leg in (self.state.legs if self.state else {}).items():
            if (track := self._tracks.get(key)) is None:
                continue
            is_ours = isinstance(leg, Pending | Done)
            settlement_id, _, name = key.rpartition("/")
            yield MoneyMovement(
                order_id=self.order_id,
                settlement_id=settlement_id,
                leg=name,
                stage=stage(leg, self.books.hold is not None),
                amount_minor=_amount(leg),
                currency=self._currency(leg),
                requested_at=track.requested_at,
                since=track.since,
                due_by=leg.due_by if isinstance(leg, Pending | Done) else leg.heard_at,
                next_at=clocks.get(key),
                attempts=leg.attempt if isinstance(leg, Pending | Done) else 0,
                payment_key=leg.movement.payment_key if isinstance(leg, Pending | Done) else None,
                provider_reference=leg.provider_reference if isinstance(leg, Done) else None,
                overdue_since=track.overdue_since if is_ours else None,
                review_since=track.review_since,
                review_reason=track.review.reason if track.review else None,
                review_says=track.review.model_dump(mode="json", include=SAID_BY_THE_PROVIDER) if track.review else {},
            )

    def _currency(self, leg: Any) -> str:
        if isinstance(leg, Pending | Done) and isinstance(self.state, Order):
            return self.state.capture.currency
        return str(leg.currency)


SAID_BY_THE_PROVIDER = {
    "payment_key",
    "payment_id",
    "provider_said",
    "provider_amount_minor",
    "provider_currency",
    "provider_reference",
    "cause",
    "code",
}


def _amount(leg: Any) -> int:
    match leg:
        case Pending():
            return leg.owed.amount_minor
        case Done():
            return leg.movement.amount_minor
        case _:
            return int(leg.amount_minor)
