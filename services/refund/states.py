"""The money of one order as the refund service holds it: where it came from, every movement since, and how its events
make it so."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

from schemas.refund.events import (
    DoneEvent,
    ExcessReturned,
    MoneyHeld,
    MoneyUnheld,
    MovedInPart,
    MovedTooMuch,
    PendingEvent,
    RefundCaptured,
    RefundEvent,
    RefundFailed,
    RefundOverdue,
    RefundRequested,
    RefundReversed,
    RefundSubmitted,
    ReviewAcknowledged,
    ReviewNeeded,
)
from schemas.refund.shapes import ReversalCause, ReviewReason, Stage
from schemas.wire import Event
from services.refund.movement import (
    CaptureAwaited,
    CaptureLapsed,
    Commission,
    CommissionReturned,
    CommissionTaken,
    Movement,
    MovementsNoted,
    capture_key,
    leg_key,
)
from services.refund.policy import ATTEMPTS_MAX
from shared.kernel.decider import Deadline


class Word(NamedTuple):
    """What the provider said of money: by it a word that is said again is known."""

    said: str
    of: str
    """The payment key, or the buyer's payment."""
    amount_minor: int
    currency: str
    name: str
    """The provider's reference; of a failure its code."""


@dataclass(frozen=True, slots=True)
class Requested:
    """Decided on while the money is on hold: the provider is called once it is no more."""


@dataclass(frozen=True, slots=True)
class Called:
    """The provider has the movement or, `asking`, the question what became of it."""

    asking: bool
    answer_by: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """The provider said no. `retry_at` None: a person is called in the same breath."""

    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class InReview:
    """In the operator's queue."""

    reason: ReviewReason

    @property
    def outcome_unknown(self) -> bool:
        return self.reason in ("no_answer", "mismatch")


@dataclass(frozen=True, slots=True)
class Pending:
    """A movement until it is done."""

    movement: Movement
    due_by: datetime
    overdue_at: datetime
    """When it is called overdue, the first time or again (R53)."""
    attempt: int
    attempts_max: int
    at: Requested | Called | Failed | InReview
    returned_minor: int = 0
    """Above 0: all that was owed had moved, and so much of it came back (R62)."""
    standing: Mapping[str, int] = field(default_factory=dict)
    """Payment key -> what has moved under it and did not come back."""

    @property
    def spent(self) -> bool:
        """Its key has had its money moved: nothing can be moved under it again."""
        return self.returned_minor > 0 or self.at == InReview("reversed")

    @property
    def owed(self) -> Movement:
        """What is still to be moved: the movement itself, or a new one, of what came back."""
        if not self.spent:
            return self.movement
        return anew(self.movement, self.returned_minor or self.movement.amount_minor)


def anew(movement: Movement, amount_minor: int) -> Movement:
    """So much of it, under the next key."""
    return movement.model_copy(update={"amount_minor": amount_minor, "generation": movement.generation + 1})


def rest_of(leg: Pending, moved_minor: int) -> Pending:
    """What is left to be moved once so much of what was owed has moved. Nobody is called for it yet."""
    movement = anew(leg.owed, leg.owed.amount_minor - moved_minor)
    standing = {**leg.standing, leg.owed.payment_key: moved_minor}
    return replace(leg, movement=movement, at=Requested(), returned_minor=0, standing=standing)


@dataclass(frozen=True, slots=True)
class Doubt:
    """The provider has said something else of what is done, and a person looks (R62)."""

    reason: ReviewReason
    returned_minor: int
    """So much of it, he says, came back, and whether it did a person decides; 0: he says nothing like that."""
    cause: ReversalCause
    reference: str


@dataclass(frozen=True, slots=True)
class Done:
    """The money has moved; nothing is ever sent for this key again."""

    movement: Movement
    due_by: datetime
    attempt: int
    attempts_max: int
    provider_reference: str
    by_hand: bool
    """An operator said so: it went by other means."""
    doubt: Doubt | None = None
    excess_minor: int = 0
    """So much more than this has moved, and has not come back."""
    standing: Mapping[str, int] = field(default_factory=dict)
    """Payment key -> what has moved under it, this movement and those before it, and did not come back."""


@dataclass(frozen=True, slots=True)
class Unasked:
    """Money of which the provider spoke and nobody else: nothing of it is booked (R62)."""

    amount_minor: int
    currency: str
    heard_at: datetime
    is_open: bool = True
    """Until an operator has looked."""


AnyLeg = Pending | Done | Unasked


@dataclass(frozen=True, slots=True)
class UnplacedOrder:
    """Not heard to be placed; waits for the order service."""

    movements: tuple[Movement, ...] = ()
    commissions: tuple[Commission, ...] = ()
    legs: Mapping[str, Unasked] = field(default_factory=dict)
    heard: frozenset[Word] = frozenset()


@dataclass(frozen=True, slots=True)
class Order:
    """`legs` by their keys; `commissions`: the settlements whose commission is booked."""

    capture: RefundCaptured
    """What is captured, or is to be."""
    legs: Mapping[str, AnyLeg]
    commissions: frozenset[str] = frozenset()
    heard: frozenset[Word] = frozenset()
    """What the provider said, but for his answers to calls that failed."""
    on_hold: bool = False
    """No money is sent (R63)."""
    is_captured: bool = True
    lapsed_as: str | None = None
    """The settlement of an order that was cancelled before it was paid (R61)."""

    @property
    def capture_key(self) -> str:
        return capture_key(self.capture.order_id)


State = UnplacedOrder | Order
RefundDeadline = Literal["refund_retry", "refund_due"]
"""Those of one instant happen in this order (docs/RULES.md, timer service)."""


def evolve(state: State | None, event: Event) -> State | None:
    match state, event:
        case UnplacedOrder(), MovementsNoted():
            noted = state.commissions + event.commissions
            return replace(state, movements=state.movements + event.movements, commissions=noted)
        case None, MovementsNoted():
            return UnplacedOrder(event.movements, event.commissions)
        case Order(), RefundCaptured():
            others = {key: leg for key, leg in state.legs.items() if key != state.capture_key}
            return replace(state, capture=event, legs=others, is_captured=True)
        case Order(), CaptureLapsed():
            others = {key: leg for key, leg in state.legs.items() if key != state.capture_key}
            return replace(state, legs=others, lapsed_as=event.settlement_id)
        case _, RefundCaptured() | CaptureAwaited():
            known, is_captured = state or UnplacedOrder(), isinstance(event, RefundCaptured)
            facts = event if isinstance(event, RefundCaptured) else RefundCaptured(**event.model_dump())
            return Order(facts, known.legs, heard=known.heard, is_captured=is_captured)
        case Order(), MoneyHeld() | MoneyUnheld():
            return replace(state, on_hold=isinstance(event, MoneyHeld))
        case Order(), CommissionTaken() | CommissionReturned():
            return replace(state, commissions=state.commissions | {event.settlement_id})
        case Order(), RefundEvent():
            key = leg_key(event.settlement_id, event.leg)
            leg = _evolve_leg(state.legs.get(key), event)
            heard = state.heard | _words(state, leg, event)
            if isinstance(event, MovedTooMuch):  # as much as is booked he never said
                heard -= {one for one in heard if one[:2] == ("settled", event.payment_key) and _is_booked(leg, one)}
            return replace(state, legs={**state.legs, key: leg} if leg else state.legs, heard=heard)
        case UnplacedOrder() | None, ReviewNeeded() | ReviewAcknowledged():
            state = state or UnplacedOrder()
            key = leg_key(event.settlement_id, event.leg)
            unasked = _evolve_unasked(state.legs.get(key), event)
            heard = state.heard | _words(state, unasked, event)
            return replace(state, legs={**state.legs, key: unasked} if unasked else state.legs, heard=heard)
    return state


def _evolve_leg(leg: AnyLeg | None, event: RefundEvent) -> AnyLeg | None:
    match leg, event:
        case None, RefundRequested():
            movement = Movement(settlement_id=event.settlement_id, leg=event.leg, amount_minor=event.amount_minor)
            if event.answer_by is None:
                return Pending(movement, event.due_by, event.due_by, 0, ATTEMPTS_MAX, Requested())
            at, attempts_max = Called(False, event.answer_by), event.attempts_max or ATTEMPTS_MAX
            return Pending(movement, event.due_by, event.due_by, 1, attempts_max, at)
        case Pending(), RefundSubmitted():
            at = Called(event.asking, event.answer_by)
            movement = leg.movement if event.payment_key in (None, leg.movement.payment_key) else leg.owed
            called = replace(leg, attempt=event.attempt, attempts_max=event.attempts_max, at=at)
            return called if movement == leg.movement else replace(called, movement=movement, returned_minor=0)
        case Pending(), RefundFailed():
            return replace(leg, at=Failed(event.retry_at))
        case Pending(), RefundOverdue():
            return replace(leg, overdue_at=event.repeats_at)
        case Pending(), ReviewNeeded():
            return replace(leg, at=InReview(event.reason))
        case Pending(), RefundReversed():
            returned_minor = leg.returned_minor + event.amount_minor
            return replace(leg, returned_minor=returned_minor, standing=_less(leg.standing, event))
        case Pending(), MovedInPart():
            return rest_of(leg, event.amount_minor)
        case Pending(), DoneEvent():
            reference, by_hand = event.provider_reference, event.note is not None
            standing = {**leg.standing, leg.owed.payment_key: leg.owed.amount_minor}
            return Done(leg.owed, leg.due_by, leg.attempt, leg.attempts_max, reference, by_hand, standing=standing)
        case Done(), _:
            return _evolve_done(leg, event)
        case Unasked() | None, ReviewNeeded() | ReviewAcknowledged():
            return _evolve_unasked(leg, event)
    return leg


def _evolve_done(leg: Done, event: RefundEvent) -> Pending | Done:
    match event:
        case RefundReversed():
            return reopen(leg, event)
        case MovedTooMuch():
            return replace(leg, excess_minor=event.amount_minor)
        case ExcessReturned():
            excess_minor = leg.excess_minor - event.amount_minor
            is_over = not excess_minor and leg.doubt is not None and leg.doubt.reason == "moved_too_much"
            return replace(leg, excess_minor=excess_minor, doubt=None if is_over else leg.doubt)
        case ReviewNeeded():
            whole = leg.movement.amount_minor + leg.excess_minor
            returned = 0 if event.cause is None else event.provider_amount_minor or whole
            doubt = Doubt(event.reason, returned, event.cause or "failed", event.provider_reference or "")
            if leg.doubt is not None and not returned:
                doubt = replace(leg.doubt, reason=event.reason)
            return replace(leg, doubt=doubt)
        case ReviewAcknowledged():
            return replace(leg, doubt=None)
    return leg


def reopen(leg: Done, event: RefundReversed) -> Pending:
    """What came back is still to be moved."""
    return Pending(
        leg.movement,
        leg.due_by,
        event.repeats_at,
        leg.attempt,
        leg.attempts_max,
        InReview("reversed"),
        event.amount_minor,
        _less(leg.standing, event),
    )


def _less(standing: Mapping[str, int], event: RefundReversed) -> Mapping[str, int]:
    return {**standing, event.payment_key: standing.get(event.payment_key, 0) - event.amount_minor}


def _evolve_unasked(leg: Unasked | None, event: ReviewNeeded | ReviewAcknowledged) -> Unasked | None:
    match leg, event:
        case _, ReviewNeeded():
            return Unasked(event.amount_minor, event.currency, event.due_by)
        case Unasked(), ReviewAcknowledged():
            return replace(leg, is_open=False)
    return leg


def _is_booked(leg: AnyLeg | None, word: Word) -> bool:
    return isinstance(leg, Done) and word.amount_minor == leg.movement.amount_minor


def _words(state: State, leg: AnyLeg | None, event: RefundEvent) -> set[Word]:
    """What the provider said that this event tells."""
    match event:
        case ReviewNeeded(provider_said=str(said)):
            of = event.payment_key or event.payment_id or ""
            name = event.provider_reference or ""
            return {Word(said, of, event.provider_amount_minor or 0, event.provider_currency or "", event.code or name)}
        case RefundReversed(cause="failed"):
            return set()
        case RefundReversed() | ExcessReturned() | MovedInPart() if isinstance(state, Order):
            said = "settled" if isinstance(event, MovedInPart) else "reversed"
            currency, name = state.capture.currency, event.provider_reference
            return {Word(said, event.payment_key, event.amount_minor, currency, name)}
        case DoneEvent() if isinstance(state, Order) and isinstance(leg, Done):
            movement, currency = leg.movement, state.capture.currency
            return {Word("settled", movement.payment_key, movement.amount_minor, currency, event.provider_reference)}
    return set()


def deadlines(state: State | None) -> Iterable[Deadline[RefundDeadline]]:
    """Every pending leg is due; one in the provider's hands or backing off is looked at again (§8)."""
    if not isinstance(state, Order):
        return
    for key, leg in state.legs.items():
        if isinstance(leg, Pending):
            if key != state.capture_key:  # what was promised to nobody: the order has a clock for it
                yield Deadline("refund_due", key, leg.overdue_at)
            match leg.at:
                case Called(answer_by=instant):
                    yield Deadline("refund_retry", key, instant)
                case Failed(retry_at=datetime() as instant) if not state.on_hold:
                    yield Deadline("refund_retry", key, instant)


def stage(leg: AnyLeg, on_hold: bool = False) -> Stage:
    """What a person is told (R52)."""
    match leg:
        case Pending(at=Requested() | Failed(retry_at=datetime())) if on_hold:
            return "on_hold"
        case Done(doubt=None) | Unasked(is_open=False):
            return "settled"
        case Done() | Unasked() | Pending(at=InReview()):
            return "manual_review"
        case Pending(at=Requested()):
            return "requested"
        case Pending(at=Called(asking=True)):
            return "processing"
        case Pending(at=Called()):
            return "submitted" if leg.attempt == 1 else "retrying"
        case Pending():
            return "failed"


def stamp(state: State | None, event: Event) -> Mapping[str, Any]:
    if state is None or not isinstance(event, RefundEvent):
        return {}
    leg = state.legs[leg_key(event.settlement_id, event.leg)]
    if isinstance(leg, Unasked):
        return {"currency": leg.currency, "stage": stage(leg)}  # the rest it says itself
    assert isinstance(state, Order)
    stamped: dict[str, Any] = {"currency": state.capture.currency, "stage": stage(leg, state.on_hold)}
    if isinstance(event, PendingEvent):
        stamped |= {"due_by": leg.due_by}
        if not isinstance(event, RefundReversed | MovedInPart):  # these say themselves how much
            stamped |= {
                "amount_minor": leg.owed.amount_minor if isinstance(leg, Pending) else leg.movement.amount_minor
            }
    return stamped
