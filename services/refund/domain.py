"""What can happen to the money of an order: state first, then money (R22, R52, R53, N7)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, assert_never, get_args

from schemas.order.events import Cancelled, LinesCancelled, LinesRefunded, LinesReleased, Placed, Settled
from schemas.payments.events import PaymentCaptured, PaymentFailed, PaymentReversed, PaymentSettled
from schemas.refund.commands import AcknowledgeReview, HoldMoney, RefundResume, ResolveRefund, RetryRefund, UnholdMoney
from schemas.refund.events import RefundOverdue, RefundRejected, RefundRepeated, RefundResumed
from services.refund.calling import UNANSWERED, NamedFailure, call_by_hand, failed, settled, time_is_up
from services.refund.capturing import ask, captured, not_paid
from services.refund.holding import ON_HOLD, obey, taken_back, takes_the_payment_back
from services.refund.movement import CaptureAwaited, Movement, MovementsNoted, leg_key
from services.refund.requesting import book, capture, commission, movements, request
from services.refund.resolving import resolved
from services.refund.reviewing import NOBODY_ASKED, acknowledged, doubted, reversed_, unasked
from services.refund.states import (
    Called,
    Done,
    Order,
    Pending,
    RefundDeadline,
    State,
    Unasked,
    deadlines,
    evolve,
    reopen,
    stamp,
)
from services.refund.subscriptions import SUBSCRIPTIONS
from shared.kernel.decider import Deadline, Decider, Output, Refusal
from shared.kernel.policies import Policies
from shared.kernel.ports import Input
from shared.rules.calendar import after
from shared.rules.refusals import who_may

Commands = RetryRefund | ResolveRefund | AcknowledgeReview | HoldMoney | UnholdMoney
Heard = Placed | Cancelled | LinesReleased | Settled | PaymentSettled | PaymentReversed | PaymentCaptured | NamedFailure


NO_ORDER = Refusal("not_found", "No such order was placed.")


def decide(state: State | None, command: Commands, now: datetime, policies: Policies) -> Sequence[Output]:
    """What operators do with money that waits for them, or shall wait."""
    if isinstance(command, HoldMoney | UnholdMoney):
        return obey(state, command, now) if isinstance(state, Order) else [NO_ORDER]
    leg = state.legs.get(leg_key(command.settlement_id, command.leg)) if state else None
    if leg is None:
        return [Refusal("not_found", "this order has no such movement of money")]
    if refusal := who_may(command, {}):
        return [refusal]
    match command:
        case AcknowledgeReview():
            return [acknowledged(leg, command)]
        case RetryRefund() | ResolveRefund():
            if isinstance(leg, Unasked) or not isinstance(state, Order):
                return [NOBODY_ASKED]
            return _move(state, leg, command, now, policies)
        case _:
            assert_never(command)


def _move(
    order: Order, leg: Pending | Done, command: RetryRefund | ResolveRefund, now: datetime, policies: Policies
) -> Sequence[Output]:
    """By the provider, or by other means. What he says came back is booked first, if that was left to a person."""
    said: list[Output] = []
    if isinstance(leg, Done):
        back = doubted(order, leg, now, policies)
        if isinstance(back, Refusal):
            return [back]
        excess, returned = back
        said, leg = [*excess, returned], reopen(leg, returned)
    match command:
        case RetryRefund() if isinstance(leg.at, Called):
            return [UNANSWERED]
        case RetryRefund() if order.on_hold:
            return [ON_HOLD]
        case RetryRefund():
            return [*said, *call_by_hand(order.capture, leg, now)]
        case ResolveRefund():
            answer = resolved(order, leg, command, now)
            return answer if isinstance(answer[0], Refusal) else [*said, *answer]


def identify(found: Input) -> Any:
    """A failure is an answer to the one call that it names."""
    failed = found.payload
    return NamedFailure(failed, found.causation_id) if isinstance(failed, PaymentFailed) else failed


def react(state: State | None, event: Heard, now: datetime, policies: Policies) -> Sequence[Output]:
    match event:
        case Placed():
            if isinstance(state, Order):
                return []  # an order is placed once
            paid = capture(event)
            if isinstance(paid, CaptureAwaited):
                return ask(paid, event, now)
            return [
                paid,
                *request(paid, state.movements if state else (), now, policies),
                *book(paid, state.commissions if state else ()),
            ]
        case Cancelled(cause="not_paid"):
            return not_paid(state, event, now, policies) if isinstance(state, Order) else []
        case Cancelled() | LinesCancelled() | LinesRefunded() | LinesReleased() | Settled():
            asked, share = movements(event), commission(event)
            if isinstance(state, Order):
                new = [movement for movement in asked if movement.key not in state.legs]
                unbooked = [share] if share and share.settlement_id not in state.commissions else []
                called = request(state.capture, new, now, policies, on_hold=state.on_hold)
                return [*called, *book(state.capture, unbooked)]
            known = {movement.key for movement in state.movements} if state else set()
            waiting = tuple(movement for movement in asked if movement.key not in known)
            told = {one.settlement_id for one in state.commissions} if state else set()
            unbooked = [share] if share and share.settlement_id not in told else []
            return [MovementsNoted(movements=waiting, commissions=tuple(unbooked))] if waiting or unbooked else []
        case PaymentSettled():
            return settled(state, event, now) if isinstance(state, Order) else unasked(state, event, now)
        case PaymentReversed() if isinstance(state, Order) and takes_the_payment_back(state, event):
            return taken_back(state, event, now)
        case PaymentReversed():
            return reversed_(state, event, now, policies) if isinstance(state, Order) else unasked(state, event, now)
        case PaymentCaptured():
            return captured(state, event, now, policies)
        case NamedFailure():
            return failed(state, event, now) if isinstance(state, Order) else unasked(state, event.event, now)
        case _:
            assert_never(event)


def expire(
    state: State | None, deadline: Deadline[RefundDeadline], now: datetime, policies: Policies
) -> Sequence[Output]:
    assert isinstance(state, Order)  # nothing else holds a deadline
    leg = state.legs[deadline.subject]
    assert isinstance(leg, Pending)  # nothing else of it, either
    match deadline.name:
        case "refund_retry":
            return time_is_up(state.capture, leg, now)
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


DECIDER: Decider[State, Commands, Heard] = Decider(
    service="refund",
    commands=get_args(Commands),
    decide=decide,
    subscriptions=SUBSCRIPTIONS,
    react=react,
    identify=identify,
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
