"""What can happen to the money of an order: state first, then money (R22, R52, R53, N7)."""

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never, get_args

from schemas.order.events import Cancelled, LinesCancelled, LinesRefunded, LinesReleased, Placed, Settled
from schemas.payments.events import PaymentFailed, PaymentSettled
from schemas.refund.commands import RefundResume, ResolveRefund, RetryRefund
from schemas.refund.events import RefundOverdue, RefundRejected, RefundRepeated, RefundResumed
from services.refund.calling import call_by_hand, done, failed, settled, time_is_up
from services.refund.requesting import book, capture, commission, movements, request
from services.refund.states import (
    Called,
    Done,
    Movement,
    MovementsNoted,
    Order,
    Pending,
    RefundDeadline,
    State,
    deadlines,
    evolve,
    payment_key,
    stamp,
)
from services.refund.subscriptions import SUBSCRIPTIONS, Foreign
from shared.kernel.decider import Deadline, Decider, Output, Refusal
from shared.kernel.policies import Policies
from shared.rules.calendar import after
from shared.rules.refusals import who_may

Commands = RetryRefund | ResolveRefund


def decide(state: State | None, command: Commands, now: datetime, policies: Policies) -> Sequence[Output]:
    """What operators do with a movement that waits for them."""
    leg = state.legs.get(payment_key(command.settlement_id, command.leg)) if isinstance(state, Order) else None
    if not isinstance(state, Order) or leg is None:
        return [Refusal("not_found", "this order has no such movement of money")]
    if refusal := who_may(command, {}):
        return [refusal]
    if isinstance(leg, Done):
        return [Refusal("wrong_state", "this money has already moved")]
    if isinstance(leg.at, Called):
        return [Refusal("wrong_state", "the payment provider was called and may still answer")]
    match command:
        case RetryRefund():
            return call_by_hand(state.capture, leg, now)
        case ResolveRefund():
            return [done(state.capture, leg.movement, command.provider_reference, command.note)]
        case _:
            assert_never(command)


def react(state: State | None, event: Foreign, now: datetime, policies: Policies) -> Sequence[Output]:
    match event:
        case Placed():
            if isinstance(state, Order):
                return []  # an order is placed once
            captured = capture(event)
            return [
                captured,
                *request(captured, state.movements if state else (), now, policies),
                *book(captured, state.commissions if state else ()),
            ]
        case Cancelled() | LinesCancelled() | LinesRefunded() | LinesReleased() | Settled():
            asked, share = movements(event), commission(event)
            if isinstance(state, Order):
                new = [movement for movement in asked if movement.payment_key not in state.legs]
                unbooked = [share] if share and share.settlement_id not in state.commissions else []
                return [*request(state.capture, new, now, policies), *book(state.capture, unbooked)]
            known = {movement.payment_key for movement in state.movements} if state else set()
            waiting = tuple(movement for movement in asked if movement.payment_key not in known)
            told = {one.settlement_id for one in state.commissions} if state else set()
            unbooked = [share] if share and share.settlement_id not in told else []
            return [MovementsNoted(movements=waiting, commissions=tuple(unbooked))] if waiting or unbooked else []
        case PaymentSettled():
            if isinstance(state, Order) and (leg := state.legs.get(event.payment_key)):
                return settled(state.capture, leg, event)
        case PaymentFailed():
            if isinstance(state, Order) and (leg := state.legs.get(event.payment_key)):
                return failed(state.capture, leg, event, now)
        case _:
            assert_never(event)
    return []  # an answer about a movement that is not ours


def expire(
    state: State | None, deadline: Deadline[RefundDeadline], now: datetime, policies: Policies
) -> Sequence[Output]:
    assert isinstance(state, Order)  # nothing else holds a deadline
    leg = state.legs[deadline.subject]
    match deadline.name:
        case "refund_retry":
            return time_is_up(state.capture, leg, now) if isinstance(leg, Pending) else []
        case "refund_due":
            return [_overdue(state, leg.movement, now, policies)]
        case _:
            assert_never(deadline.name)


def _overdue(order: Order, movement: Movement, now: datetime, policies: Policies) -> RefundOverdue:
    policy = policies.of(order.capture.policy)
    return RefundOverdue(
        settlement_id=movement.settlement_id,
        leg=movement.leg,
        repeats_at=after(now, policy.refund_due, policy),
    )


DECIDER: Decider[State, Commands, Foreign] = Decider(
    service="refund",
    commands=get_args(Commands),
    decide=decide,
    subscriptions=SUBSCRIPTIONS,
    react=react,
    deadlines=deadlines,
    deadline_names=get_args(RefundDeadline),
    expire=expire,
    evolve=evolve,
    stamp=stamp,
    rejected=RefundRejected,
    repeated=RefundRepeated,
    resume=RefundResume,
    resumed=RefundResumed,
)
