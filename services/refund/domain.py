"""What can happen to the money of an order: state first, then money (R22, R52, R53, N7)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from schemas.order.events import Cancelled, LinesReleased, Placed, Settled
from schemas.payments.events import PaymentFailed, PaymentSettled
from schemas.refund.commands import ResolveRefund, RetryRefund
from schemas.refund.events import (
    DoneEvent,
    PendingEvent,
    RefundEvent,
    RefundFailed,
    RefundOverdue,
    RefundRejected,
    RefundRequested,
    RefundResumed,
    RefundSubmitted,
    ReviewNeeded,
)
from schemas.refund.shapes import Stage
from schemas.wire import Event
from services.refund.calling import ATTEMPTS_MAX, call_by_hand, done, failed, first_call, settled, time_is_up
from services.refund.movement import (
    Called,
    Captured,
    Done,
    Failed,
    InReview,
    Movement,
    MovementsNoted,
    Order,
    Pending,
    Requested,
    Unplaced,
    payment_key,
)
from services.refund.subscriptions import SUBSCRIPTIONS, capture, movements
from shared.kernel.decider import Deadline, Decider, Output, Refusal
from shared.rules.policies import Policies, after

State = Unplaced | Order


def decide(state: State | None, message: Any, time: datetime, policies: Policies) -> list[Output]:
    match state, message:
        case None | Unplaced(), Placed():
            captured = capture(message)
            return [captured, *_request(captured, state.movements if state else (), time, policies)]
        case Order(), Cancelled() | LinesReleased() | Settled():
            new = [movement for movement in movements(message) if movement.payment_key not in state.legs]
            return _request(state.capture, new, time, policies)
        case None | Unplaced(), Cancelled() | LinesReleased() | Settled():
            known = {movement.payment_key for movement in state.movements} if state else set()
            new = [movement for movement in movements(message) if movement.payment_key not in known]
            return [MovementsNoted(movements=tuple(new))] if new else []
        case Order(), PaymentSettled() if leg := state.legs.get(message.payment_key):
            return settled(state.capture, leg, message)
        case Order(), PaymentFailed() if leg := state.legs.get(message.payment_key):
            return failed(state.capture, leg, message, time)
        case Order(), Deadline(name="refund_due", subject=key):
            return [_overdue(state, state.legs[key].movement, time, policies)]
        case Order(), Deadline(name="refund_retry", subject=key) if isinstance(leg := state.legs[key], Pending):
            return time_is_up(state.capture, leg, time)
        case _, RetryRefund() | ResolveRefund():
            return _operate(state, message, time)
    return []  # an answer about a movement that is not ours, or an order placed that was heard before


def _request(captured: Captured, new: Iterable[Movement], time: datetime, policies: Policies) -> list[Output]:
    policy = policies.of(captured.policy)
    outputs: list[Output] = []
    for movement in new:
        requested = RefundRequested(
            settlement_id=movement.settlement_id,
            leg=movement.leg,
            amount_minor=movement.amount_minor,
            due_by=after(time, policy.refund_due, policy),
        )
        outputs += [requested, *first_call(captured, movement, time)]
    return outputs


def _overdue(order: Order, movement: Movement, time: datetime, policies: Policies) -> RefundOverdue:
    policy = policies.of(order.capture.policy)
    return RefundOverdue(
        settlement_id=movement.settlement_id,
        leg=movement.leg,
        repeats_at=after(time, policy.refund_due, policy),
    )


def _operate(state: State | None, command: RetryRefund | ResolveRefund, time: datetime) -> list[Output]:
    leg = state.legs.get(payment_key(command.settlement_id, command.leg)) if isinstance(state, Order) else None
    if not isinstance(state, Order) or leg is None:
        return [Refusal("not_found", "this order has no such movement of money")]
    if command.actor.role not in command.by:
        return [Refusal("not_allowed", "only an operator may do this")]
    if isinstance(leg, Done):
        return [Refusal("wrong_state", "this money has already moved")]
    if isinstance(leg.at, Called):
        return [Refusal("wrong_state", "the payment provider was called and may still answer")]
    if isinstance(command, RetryRefund):
        return call_by_hand(state.capture, leg, time)
    return [done(state.capture, leg.movement, command.provider_reference, command.note)]


def evolve(state: State | None, event: Any) -> State | None:
    match state, event:
        case Unplaced(), MovementsNoted():
            return Unplaced(state.movements + event.movements)
        case None, MovementsNoted():
            return Unplaced(event.movements)
        case _, Captured():
            return Order(event, {})
        case Order(), RefundEvent():
            key = payment_key(event.settlement_id, event.leg)
            leg = _evolve_leg(state.legs.get(key), event)
            return replace(state, legs={**state.legs, key: leg}) if leg else state
    return state


def _evolve_leg(leg: Pending | Done | None, event: RefundEvent) -> Pending | Done | None:
    match leg, event:
        case None, RefundRequested():
            movement = Movement(settlement_id=event.settlement_id, leg=event.leg, amount_minor=event.amount_minor)
            return Pending(movement, event.due_by, event.due_by, 0, ATTEMPTS_MAX, Requested())
        case Pending(), RefundSubmitted():
            at = Called(event.asking, event.answer_by)
            return replace(leg, attempt=event.attempt, attempts_max=event.attempts_max, at=at)
        case Pending(), RefundFailed():
            return replace(leg, at=Failed(event.retry_at))
        case Pending(), RefundOverdue():
            return replace(leg, overdue_at=event.repeats_at)
        case Pending(), ReviewNeeded():
            return replace(leg, at=InReview(event.reason))
        case Pending(), DoneEvent():
            return Done(leg.movement, leg.due_by, event.provider_reference)
        case Done(), ReviewNeeded():
            return replace(leg, settled_again=True)
    return leg


def deadlines(state: State | None) -> Iterable[Deadline]:
    """Every pending leg is due; one in the provider's hands or backing off is looked at again (§8)."""
    if not isinstance(state, Order):
        return
    for key, leg in state.legs.items():
        if isinstance(leg, Pending):
            yield Deadline("refund_due", key, leg.overdue_at)
            match leg.at:
                case Called(answer_by=instant) | Failed(retry_at=datetime() as instant):
                    yield Deadline("refund_retry", key, instant)


def stage(leg: Pending | Done) -> Stage:
    """What a person is told (R52)."""
    if isinstance(leg, Done):
        return "settled"
    match leg.at:
        case Requested():
            return "requested"
        case Called(asking=True):
            return "processing"
        case Called():
            return "submitted" if leg.attempt == 1 else "retrying"
        case Failed():
            return "failed"
        case InReview():
            return "manual_review"


def stamp(state: State | None, event: Event) -> Mapping[str, Any]:
    if not isinstance(state, Order) or not isinstance(event, RefundEvent):
        return {}
    leg = state.legs[payment_key(event.settlement_id, event.leg)]
    stamped: dict[str, Any] = {"currency": state.capture.currency, "stage": stage(leg)}
    if isinstance(event, PendingEvent):
        stamped |= {"amount_minor": leg.movement.amount_minor, "due_by": leg.due_by}
    return stamped


DECIDER: Decider[State] = Decider(
    service="refund",
    decide=decide,
    evolve=evolve,
    deadlines=deadlines,
    rejected=RefundRejected,
    resumed=RefundResumed,
    hears=SUBSCRIPTIONS,
    stamp=stamp,
    deadline_names=("refund_retry", "refund_due"),
)
