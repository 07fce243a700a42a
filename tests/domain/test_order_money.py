"""Whatever is said to an order, in whatever order and however late: no cent is lost, made or promised twice."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.order import commands
from schemas.order import events as order_events
from schemas.wire import Actor, Event, Rejected
from services.order.lines import Disputed, Held, Unshipped
from services.order.states import AwaitingShipment, ShippedOrder, deadlines, status
from tests.domain.order_desk import OPERATOR, SELLER, OrderDesk
from tests.domain.table import NOON

Step = Callable[[OrderDesk], Any]

LINES = st.sampled_from([[], ["shirts"], ["hat"], [("shirts", 2)], ["hat", ("shirts", 1)], ["shoes"], ["hat", "hat"]])
PARCELS = st.sampled_from([["shirts"], ["hat"], [("shirts", 1)], [("shirts", 2)], ["hat", ("shirts", 2)], ["shoes"]])
DISPUTES = st.sampled_from([f"d{number}" for number in range(6)])
DAYS = st.integers(1, 40)
CENTS = st.integers(1, 1_600) | st.integers(1, 300)
WAITS = st.sampled_from(
    [timedelta(0), timedelta(milliseconds=1), *(timedelta(hours=hours) for hours in (1, 2, 5, 24, 70, 1_400))]
)
OUTCOMES = st.sampled_from(["offer_accepted", "decided", "buyer_silent", "cancelled", "arbitration_cancelled"])

ABOVE = st.sampled_from([SELLER, OPERATOR])
SINGLE = st.sampled_from([None, ("hat",), ("shirts",), ("hat", "shirts"), ("shoes",)])
GIVEN_BACK = st.dictionaries(st.sampled_from(["shirts", "shirts", "hat", "shoes"]), st.integers(1, 600), min_size=1)
RATES = st.sampled_from([0, 0, 333, 9_999, 10_000])


def said(command: type[commands.OrderCommand], **data: Any) -> Step:
    return lambda desk: desk.say(command, **data)


COMMANDS: st.SearchStrategy[Step] = st.one_of(
    st.just(lambda desk: desk.place()),
    st.just(lambda desk: desk.ship()),
    st.builds(lambda lines: lambda desk: desk.parcel(*lines), PARCELS),
    st.just(lambda desk: desk.confirm()),
    st.just(lambda desk: desk.ring()),
    st.just(said(commands.Cancel)),
    st.builds(lambda role, lines: said(commands.Cancel, actor=role, lines=lines, reason="Sold out"), ABOVE, SINGLE),
    st.builds(lambda role, minor: lambda desk: desk.give_back(role, **minor), ABOVE, GIVEN_BACK),
    st.just(said(commands.CorrectTracking, carrier="Post", tracking_number="RR2")),
    st.just(said(commands.ReportTracking, status="failed", at=NOON)),
    st.just(said(commands.ConfirmReceipt, actor=Actor(role="buyer", id="not-bea"))),
    st.builds(lambda days: said(commands.ExtendProcessing, days=days), DAYS),
    st.builds(lambda days: said(commands.RequestExtension, days=days), DAYS),
    st.builds(lambda days: said(commands.ExtendProtection, days=days), DAYS),
)


def claim(lines: list[Any], dispute: str, cents: int, queued: timedelta) -> Step:
    return lambda desk: desk.claim(*lines, dispute_id=dispute, refund_minor=cents, received_at=desk.now - queued)


def close(outcome: Any, cents: int, final: bool) -> Step:
    """The dispute of the first line that is in one; without any, one that nobody knows."""

    def step(desk: OrderDesk) -> Any:
        standings = [line.standing for line in desk.state.lines] if desk.state else []
        open_ = [standing.dispute_id for standing in standings if isinstance(standing, Disputed)]
        return desk.close(outcome, cents, (open_ or ["unknown"])[0], final)

    return step


HEARD: list[st.SearchStrategy[Step]] = [
    st.builds(claim, LINES, DISPUTES, CENTS, WAITS),
    st.builds(close, OUTCOMES, CENTS, st.booleans()),
    st.builds(lambda number: lambda desk: desk.refunded(f"order-1:{number}"), st.integers(1, 4)),
]
STEPS = st.lists(
    st.tuples(st.sampled_from([COMMANDS, *HEARD]).flatmap(lambda kind: kind), WAITS), min_size=10, max_size=40
)
"""Disputes come often here: what they do to the money is what matters most."""


@pytest.mark.rule("R2")
@pytest.mark.rule("R1")
@settings(deadline=None, max_examples=300)
@pytest.mark.rule("R64")
@pytest.mark.rule("R66")
@pytest.mark.rule("R69")
@given(STEPS, st.sampled_from(["shipped", "in part", "placed", ""]), RATES)
def test_no_cent_is_lost(steps: list[tuple[Step, timedelta]], begun: str, commission_bps: int) -> None:
    desk = OrderDesk()
    if begun:
        desk.place(commission_bps=commission_bps)
    if begun == "shipped":
        desk.ship()
    if begun == "in part":
        desk.parcel(("shirts", 2))
    for step, wait in steps:
        step(desk)
        desk.now += wait

        assert desk.refolded() == desk.state
        if desk.state is not None:
            the_money_adds_up(desk)
            somebody_is_waited_for(desk)


def the_money_adds_up(desk: OrderDesk) -> None:
    """The sums by the lines are the sums by what was told to the refund service, and all there is."""
    held = desk.money
    events = [message for message in desk.history if isinstance(message, Event) and not isinstance(message, Rejected)]
    to_buyer = sum(
        event.refund_minor
        for event in events
        if isinstance(
            event,
            order_events.Cancelled | order_events.LinesCancelled | order_events.LinesRefunded | order_events.Settled,
        )
    )
    to_platform = sum(
        event.commission_minor - getattr(event, "commission_returned_minor", 0)
        for event in events
        if isinstance(event, order_events.LinesReleased | order_events.Settled)
    )
    to_seller = to_platform + sum(
        event.release_minor - event.commission_minor
        if isinstance(event, order_events.LinesReleased)
        else event.payout_minor - event.chargeback_minor
        for event in events
        if isinstance(event, order_events.LinesReleased | order_events.Settled)
    )
    assert held.refunded_minor == to_buyer
    assert held.released_minor == to_seller
    assert 0 <= to_platform <= to_seller
    if isinstance(desk.state, ShippedOrder):
        assert to_platform == desk.state.commission_minor
    assert held.unshipped_minor + held.held_minor + held.disputed_minor == 1_500 - to_buyer - to_seller >= 0

    for event in events:
        if isinstance(event, order_events.LinesReleased):
            assert event.release_minor == sum(line.amount_minor for line in event.lines)
        if isinstance(event, order_events.Settled):
            assert event.refund_minor == sum(line.refund_minor for line in event.lines)
            assert event.release_minor == sum(line.release_minor for line in event.lines)
            assert min(event.payout_minor, event.chargeback_minor, event.commission_returned_minor) >= 0
        if isinstance(event, order_events.LinesRefunded | order_events.LinesCancelled):
            assert event.refund_minor == sum(line.refund_minor for line in event.lines)

    movements = [event.settlement_id for event in events if hasattr(event, "settlement_id") and event.topic]
    assert len(set(movements)) == len(movements)
    frozen = [event.dispute_id for event in events if isinstance(event, order_events.LinesFrozen)]
    assert len(set(frozen)) == len(frozen)


def somebody_is_waited_for(desk: OrderDesk) -> None:
    """A state that is not the end holds a deadline, or its dispute or its refund is under way elsewhere."""
    held = list(deadlines(desk.state))
    match desk.state:
        case AwaitingShipment():
            assert [deadline.name for deadline in held] == ["processing_ends"]
        case ShippedOrder():
            names = {deadline.name for deadline in held}
            assert ("protection_ends" in names) == any(isinstance(line.standing, Held) for line in desk.state.lines)
            assert ("processing_ends" in names) == any(
                isinstance(line.standing, Unshipped) for line in desk.state.lines
            )
            assert held or status(desk.state) in ("disputed", "payment_processing", "completed")
            arrivals = [event for event in desk.history if isinstance(event, order_events.Completed)]
            if status(desk.state) == "completed":
                assert arrivals
                assert arrivals[-1].refund_minor == desk.money.refunded_minor
                assert arrivals[-1].release_minor == desk.money.released_minor
        case _:
            assert held == []
