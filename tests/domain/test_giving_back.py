"""Money that goes back without a quarrel: of held lines, in parts; and what is not shipped at all (R64)."""

from collections import Counter
from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.common import OrderLine
from schemas.dispute.shapes import Outcome
from schemas.order import commands, events
from schemas.order.shapes import RefundedLine
from schemas.wire import MINOR_MAX, Actor, Event
from services.order.lines import Disputed, Money
from services.order.states import ShippedOrder
from tests.domain.order_desk import OPERATOR, SELLER, OrderDesk, answer, awaiting, in_state, only, shipped
from tests.domain.refund_desk import RefundDesk

pytestmark = pytest.mark.rule("R64")


# While the lines are held


def test_the_seller_gives_back_a_part_and_protection_goes_on() -> None:
    desk = OrderDesk()
    shipped(desk)
    ends_at = desk.state.protection_ends_at

    said = only(desk.give_back(shirts=250, hat=500), events.LinesRefunded)

    assert (said.settlement_id, said.refund_minor, said.by, said.reason) == ("order-1:1", 750, "seller", "Sorry")
    assert [(line.line_id, line.refund_minor) for line in said.lines] == [("shirts", 250), ("hat", 500)]
    assert said.status == "payment_processing"
    assert said.protection_ends_at == ends_at
    assert desk.money == Money(held_minor=750, refunded_minor=750)
    desk.refunded("order-1:1", 750)
    assert only(desk.extend(1), events.ProtectionExtended).status == "awaiting_confirmation"


def test_in_parts_until_nothing_is_left() -> None:
    desk = OrderDesk()
    shipped(desk)
    desk.give_back(shirts=999)
    too_much = only(desk.give_back(OPERATOR, shirts=2), events.OrderRejected)
    last = only(desk.give_back(OPERATOR, shirts=1), events.LinesRefunded)
    nothing_left = only(desk.give_back(shirts=1), events.OrderRejected)

    assert (too_much.code, too_much.details) == ("amount_exceeds", {"max_minor": 1})
    assert (last.settlement_id, last.by) == ("order-1:2", "operator")
    assert (nothing_left.code, nothing_left.details) == ("amount_exceeds", {"max_minor": 0})
    assert desk.money == Money(held_minor=500, refunded_minor=1_000)


@pytest.mark.parametrize(
    ("given_back", "code"),
    [
        ({"shirts": 1_000, "hat": 500}, "refunded"),
        ({"shirts": 1_001}, "amount_exceeds"),
        ({"shirts": 1, "hat": 501}, "amount_exceeds"),
        ({"shoes": 1}, "not_found"),
        ({"shirts": 1_001, "shoes": 1}, "not_found"),
    ],
)
def test_never_more_than_is_left_of_a_line(given_back: dict[str, int], code: str) -> None:
    desk = OrderDesk()
    shipped(desk)

    assert answer(desk.give_back(None, **given_back)) == code
    assert desk.refolded() == desk.state


@pytest.mark.parametrize(
    "lines", [(), (RefundedLine(line_id="hat", refund_minor=1), RefundedLine(line_id="hat", refund_minor=2))]
)
def test_a_line_is_named_once_and_some_line_is(lines: Any) -> None:
    with pytest.raises(ValidationError):
        commands.RefundLines(order_id="order-1", actor=SELLER, lines=lines, reason="Sorry")
    with pytest.raises(ValidationError):
        RefundedLine(line_id="hat", refund_minor=0)


def test_what_is_in_dispute_is_not_given_back_beside_it() -> None:
    desk = in_state("one_disputed")

    assert answer(desk.give_back(shirts=1)) == "already_disputed"
    assert answer(desk.give_back(hat=1, shirts=1)) == "already_disputed"
    assert answer(desk.give_back(hat=1)) == "refunded"
    desk.close("cancelled", final=False)
    assert answer(desk.give_back(shirts=1)) == "refunded"


def test_the_first_refusal_is_the_answer() -> None:
    """`wrong_state` before `already_disputed` before `amount_exceeds`."""
    desk = in_state("one_refunding")
    desk.claim("hat", dispute_id="d2")

    assert answer(desk.give_back(hat=900, shirts=1)) == "wrong_state"
    assert answer(desk.give_back(hat=900)) == "already_disputed"


def test_later_claims_are_bounded_by_what_is_left() -> None:
    desk = OrderDesk()
    shipped(desk)
    desk.give_back(shirts=600)

    whole = only(desk.claim("shirts", refund_minor=401), events.FreezeRefused)
    frozen = only(desk.claim(("shirts", 1), refund_minor=334), events.LinesFrozen)
    settled = only(desk.close("decided", 334), events.Settled)

    assert (whole.code, whole.details) == ("amount_exceeds", {"max_minor": 400})
    assert (frozen.claimed_minor, frozen.lines[0].amount_minor) == (334, 400)
    assert (settled.refund_minor, settled.payout_minor) == (334, 66)
    assert desk.money == Money(held_minor=500, released_minor=66, refunded_minor=934)


def test_a_piece_is_worth_no_more_than_what_is_left() -> None:
    desk = OrderDesk()
    shipped(desk)
    desk.give_back(shirts=900)

    assert only(desk.claim(("shirts", 1), refund_minor=101), events.FreezeRefused).details == {"max_minor": 100}


def test_only_what_is_left_is_released_and_commission_is_taken_of_that() -> None:
    desk = OrderDesk()
    desk.place(commission_bps=1_000)
    desk.ship()
    desk.give_back(shirts=250)
    desk.wait(days=61)

    said = desk.ring()

    released = only(said, events.LinesReleased)
    assert [(line.line_id, line.amount_minor) for line in released.lines] == [("shirts", 750), ("hat", 500)]
    assert (released.release_minor, released.commission_minor) == (1_250, 125)
    completed = only(desk.refunded("order-1:1", 250), events.Completed)
    assert (completed.refund_minor, completed.release_minor) == (250, 1_250)


def test_after_a_release_the_buyer_claims_what_was_left() -> None:
    desk = OrderDesk()
    shipped(desk)
    desk.give_back(hat=100)
    desk.confirm()

    assert only(desk.claim("hat", refund_minor=401), events.FreezeRefused).details == {"max_minor": 400}
    desk.claim("hat", refund_minor=400)
    settled = only(desk.close("decided", 400), events.Settled)
    assert (settled.chargeback_minor, settled.payout_minor) == (400, 0)


def test_where_nothing_is_left_only_the_goods_are_protected() -> None:
    desk = OrderDesk()
    shipped(desk)
    desk.give_back(shirts=1_000, hat=500)
    desk.refunded("order-1:1", 1_500)
    assert answer(desk.claim()) == "amount_exceeds"
    desk.wait(days=58)
    assert answer(desk.ring()) == "-"

    completed = only(desk.confirm(), events.Completed)

    assert (completed.refund_minor, completed.release_minor) == (1_500, 0)


# Before shipping


def test_before_shipping_too() -> None:
    desk = OrderDesk()
    awaiting(desk)

    said = only(desk.give_back(hat=100), events.LinesRefunded)
    assert said.status == "awaiting_shipment"
    shipping = only(desk.ship(), events.Shipped)
    assert shipping.status == "payment_processing"
    desk.refunded("order-1:1", 100)
    assert desk.state.refunding == frozenset()


def test_what_was_given_back_is_not_refunded_again_when_it_is_cancelled() -> None:
    desk = OrderDesk()
    awaiting(desk)
    desk.give_back(hat=100)

    said = only(desk.say(commands.Cancel), events.Cancelled)

    assert (said.settlement_id, said.refund_minor) == ("order-1:2", 1_400)
    assert desk.money == Money(refunded_minor=1_500)


@pytest.mark.parametrize("actor", [SELLER, OPERATOR])
def test_the_seller_or_an_operator_cancels_and_says_why(actor: Actor) -> None:
    desk = OrderDesk()
    awaiting(desk)
    with pytest.raises(ValidationError):
        desk.say(commands.Cancel, actor)

    said = only(desk.say(commands.Cancel, actor, reason="Sold out"), events.Cancelled)

    assert (said.cause, said.reason, said.refund_minor) == (actor.role, "Sold out", 1_500)


@pytest.mark.parametrize("actor", [SELLER, OPERATOR])
def test_single_lines_are_cancelled_and_the_rest_goes_on(actor: Actor) -> None:
    desk = OrderDesk()
    awaiting(desk)

    said = only(desk.say(commands.Cancel, actor, lines=("hat",), reason="Sold out"), events.LinesCancelled)

    assert (said.cause, said.status, said.refund_minor) == (actor.role, "awaiting_shipment", 500)
    assert desk.money == Money(unshipped_minor=1_000, refunded_minor=500)
    assert answer(desk.say(commands.Cancel, actor, lines=("hat",), reason="Again")) == "wrong_state"
    assert answer(desk.ship()) == "shipped"
    assert answer(desk.claim("hat", refund_minor=1)) == "wrong_state"
    desk.wait(days=61)
    assert only(desk.ring(), events.LinesReleased).release_minor == 1_000


def test_who_cancels_the_last_line_cancels_the_order() -> None:
    desk = OrderDesk()
    awaiting(desk)
    desk.say(commands.Cancel, SELLER, lines=("hat",), reason="Sold out")

    said = only(desk.say(commands.Cancel, SELLER, lines=("shirts",), reason="That, too"), events.Cancelled)

    assert (said.settlement_id, said.refund_minor, said.status) == ("order-1:2", 1_000, "cancelled")
    assert desk.money == Money(refunded_minor=1_500)


def test_what_runs_out_unshipped_is_what_is_left() -> None:
    desk = OrderDesk()
    awaiting(desk)
    desk.say(commands.Cancel, SELLER, lines=("hat",), reason="Sold out")
    desk.wait(days=8)

    said = only(desk.ring(), events.Cancelled)

    assert (said.cause, said.refund_minor) == ("not_shipped", 1_000)


@pytest.mark.parametrize(
    ("actor", "lines", "code"),
    [
        (None, ("hat",), "not_allowed"),
        (SELLER, ("shoes",), "not_found"),
        (OPERATOR, ("hat", "shoes"), "not_found"),
        (SELLER, ("hat", "shirts"), "cancelled"),
    ],
)
def test_which_lines_can_be_cancelled(actor: Actor | None, lines: tuple[str, ...], code: str) -> None:
    desk = OrderDesk()
    awaiting(desk)

    assert answer(desk.say(commands.Cancel, actor, lines=lines, reason="Sold out")) == code


# The money


@pytest.mark.parametrize(
    "event",
    [
        events.LinesRefunded(
            order_id="order-1", settlement_id="s1", lines=(), refund_minor=250, by="seller", reason="Sorry"
        ),
        events.LinesCancelled(
            order_id="order-1", settlement_id="s1", lines=(), refund_minor=250, cause="operator", reason="Sold out"
        ),
    ],
)
def test_it_is_paid_back_as_every_refund_is(event: Event) -> None:
    desk = RefundDesk()
    desk.place()

    said = [(message.type, getattr(message, "payment_key", "")) for message in desk.hear(event)]

    assert ("payment.refund.v1", "s1/refund") in said
    assert desk.hear(event) == []


# Whatever the sums


@st.composite
def orders(draw: st.DrawFn) -> list[OrderLine]:
    """Up to a hundred lines, up to all the money that an order may cost; some are gifts."""
    number = draw(st.sampled_from([1, 2, 3, 7, 100]))
    most = MINOR_MAX // number
    amounts = draw(st.lists(st.sampled_from([0, 1, 99, most]) | st.integers(0, most), min_size=number, max_size=number))
    amounts[0] = amounts[0] or 1
    pieces = draw(st.integers(1, 7))
    return [
        OrderLine(line_id=f"l{at}", title="A line", quantity=pieces, amount_minor=minor)
        for at, minor in enumerate(amounts)
    ]


class Chance:
    """Does to an order whatever Hypothesis draws."""

    def __init__(self, data: st.DataObject, lines: list[OrderLine], currency: str, bps: int) -> None:
        self.draw, self.desk, self.disputes = data.draw, OrderDesk(), 0
        self.desk.place(*lines, currency=currency, commission_bps=bps)
        self.names = st.sampled_from([line.line_id for line in lines])
        self.some = st.lists(self.names, min_size=1, max_size=4, unique=True)

    def act(self) -> None:
        acts = [self.give_back, self.give_back, self.claim, self.close, self.refunded, self.wait, self.other]
        self.draw(st.sampled_from(acts))()

    def left(self, name: str) -> int:
        found: int = next(line.left_minor for line in self.desk.state.lines if line.line_id == name)
        return found

    def give_back(self) -> None:
        names = self.draw(self.some)
        minor = {name: self.draw(st.integers(1, min(self.left(name) + 1, MINOR_MAX))) for name in names}
        self.desk.give_back(self.draw(st.sampled_from([SELLER, OPERATOR])), **minor)

    def claim(self) -> None:
        self.disputes += 1
        names = self.draw(self.some)
        most = max(1, sum(map(self.left, names)))
        self.desk.claim(*names, refund_minor=self.draw(st.integers(1, most)), dispute_id=f"d{self.disputes}")

    def close(self) -> None:
        open_ = [one.standing for one in self.desk.state.lines if isinstance(one.standing, Disputed)]
        if open_:
            ends: list[Outcome] = ["decided", "decided", "cancelled", "arbitration_cancelled"]
            outcome = self.draw(st.sampled_from(ends))
            minor = self.draw(st.integers(0, MINOR_MAX))
            self.desk.close(outcome, minor, open_[0].dispute_id, self.draw(st.booleans()) or outcome != "cancelled")

    def refunded(self) -> None:
        for settlement in sorted(getattr(self.desk.state, "refunding", ())):
            self.desk.refunded(settlement, 1)

    def wait(self) -> None:
        self.desk.wait(days=self.draw(st.sampled_from([0, 1, 15, 61])))
        self.desk.ring()

    def other(self) -> None:
        name = self.draw(self.names)
        match self.draw(st.sampled_from(["ship", "confirm", "cancel"])):
            case "ship":
                self.desk.ship()
            case "confirm":
                self.desk.confirm()
            case _:
                self.desk.say(commands.Cancel, SELLER, lines=(name,), reason="Sold out")


@pytest.mark.rule("R7")
@pytest.mark.rule("R69")
@pytest.mark.rule("R76")
@settings(deadline=None, max_examples=150)
@given(
    st.data(),
    orders(),
    st.sampled_from(["JPY", "EUR", "KWD"]),
    st.sampled_from([0, 1, 333, 9_999, 10_000]),
    st.booleans(),
)
def test_captured_is_refunded_and_released_and_released_is_paid_out_and_commission(
    data: st.DataObject, lines: list[OrderLine], currency: str, bps: int, shipped_first: bool
) -> None:
    chance = Chance(data, lines, currency, bps)
    desk = chance.desk
    if shipped_first:
        desk.ship()
    for _ in range(data.draw(st.integers(3, 14))):
        chance.act()

        assert_adds_up(desk, sum(line.amount_minor for line in lines))
    assert desk.refolded() == desk.state


def assert_adds_up(desk: OrderDesk, captured: int) -> None:
    legs: Counter[str] = Counter()
    for event in desk.history:
        match event:
            case events.Cancelled() | events.LinesCancelled() | events.LinesRefunded():
                legs["refund"] += event.refund_minor
            case events.LinesReleased():
                legs["payout"] += event.release_minor - event.commission_minor
                legs["commission"] += event.commission_minor
            case events.Settled():
                told = {
                    "refund": event.refund_minor,
                    "payout": event.payout_minor,
                    "chargeback": event.chargeback_minor,
                    "commission": event.commission_minor,
                    "returned": event.commission_returned_minor,
                }
                assert min(told.values()) >= 0
                legs.update(told)
    money = desk.money
    assert captured == sum(astuple(money))
    assert min(astuple(money)) >= 0
    assert all(line.left_minor >= 0 for line in desk.state.lines)
    assert money.refunded_minor == legs["refund"]
    assert money.released_minor == legs["payout"] - legs["chargeback"] + legs["commission"] - legs["returned"]
    assert legs["payout"] >= legs["chargeback"]
    assert legs["commission"] >= legs["returned"]
    if isinstance(desk.state, ShippedOrder):
        assert desk.state.commission_minor == legs["commission"] - legs["returned"]
