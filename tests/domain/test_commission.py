"""The platform's part of what is released: to the cent, however often it is refunded afterwards (R69)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.common import OrderLine, Payment
from schemas.order import commands, events
from schemas.payments.commands import ChargeBack, PayBack, PayOut
from schemas.refund.events import RefundCaptured
from schemas.wire import MINOR_MAX, Event
from services.order.lines import commission_minor
from services.refund.ledger import COMMISSION, Entry, entry
from services.refund.movement import CommissionReturned, CommissionTaken
from tests.domain.order_desk import BEA, HAT, PLATFORM, SAM, SHIRTS, OrderDesk, only
from tests.domain.refund_desk import RefundDesk
from tests.domain.test_notification_letters import letters

pytestmark = pytest.mark.rule("R69")

ESCROW = "escrow:order-1"


def sold(commission_bps: int, *lines: OrderLine) -> OrderDesk:
    desk = OrderDesk()
    desk.place(*lines, commission_bps=commission_bps)
    desk.ship()
    return desk


@pytest.mark.parametrize(
    ("release", "bps", "expected"),
    [(1_500, 0, 0), (1_500, 10_000, 1_500), (1_500, 333, 49), (1, 9_999, 0), (199, 100, 1), (MINOR_MAX, 1, 10**8)],
)
def test_it_is_rounded_down(release: int, bps: int, expected: int) -> None:
    assert commission_minor(release, bps) == expected


@pytest.mark.parametrize("bps", [-1, 10_001])
def test_more_than_all_of_it_is_invalid(bps: int) -> None:
    with pytest.raises(ValidationError):
        commands.Place(
            order_id="order-1", actor=PLATFORM, buyer=BEA, seller=SAM, currency="EUR", lines=(HAT,),
            payment=Payment(payment_id="pay-1", amount_minor=500), commission_bps=bps,
        )  # fmt: skip


def test_it_is_fixed_when_the_order_is_placed() -> None:
    desk = OrderDesk()

    assert only(desk.place(commission_bps=10_000), events.Placed).commission_bps == 10_000
    assert only(OrderDesk().place(), events.Placed).commission_bps == 0


def test_of_a_release_the_platform_has_its_part() -> None:
    desk = sold(333)

    said = desk.confirm()

    released = only(said, events.LinesReleased)
    assert (released.release_minor, released.commission_minor) == (1_500, 49)
    completed = only(said, events.Completed)
    assert (completed.release_minor, completed.commission_minor) == (1_500, 49)


def test_of_a_refund_it_has_nothing() -> None:
    desk = sold(333)
    desk.claim()

    settled = only(desk.close("decided", 1_000), events.Settled)

    assert (settled.refund_minor, settled.release_minor) == (1_000, 500)
    assert (settled.payout_minor, settled.commission_minor, settled.commission_returned_minor) == (484, 16, 0)


def test_a_cancelled_order_costs_nothing() -> None:
    desk = OrderDesk()
    desk.place(commission_bps=10_000)

    assert only(desk.say(commands.Cancel), events.Cancelled).refund_minor == 1_500


def test_what_is_given_up_in_a_dispute_is_a_release_like_any() -> None:
    desk = sold(333)
    desk.claim("shirts")

    released = only(desk.close("cancelled"), events.LinesReleased)

    assert (released.release_minor, released.commission_minor) == (1_000, 33)


def test_a_refund_after_the_release_gives_back_the_difference() -> None:
    """1,500 at 3.33 %: 49. Without 700 it would have been 26, without 500 more 9."""
    desk = sold(333)
    desk.confirm()
    desk.claim("shirts")
    first = only(desk.close("decided", 700), events.Settled)
    desk.refunded("order-1:2", 700)
    desk.claim("hat", dispute_id="d2")
    second = only(desk.close("decided", 500, "d2"), events.Settled)
    completed = only(desk.refunded("order-1:3", 500), events.Completed)

    assert (first.refund_minor, first.chargeback_minor, first.commission_returned_minor) == (700, 677, 23)
    assert (second.refund_minor, second.chargeback_minor, second.commission_returned_minor) == (500, 483, 17)
    assert (completed.release_minor, completed.commission_minor) == (300, commission_minor(300, 333))


def test_two_releases_round_each_for_itself() -> None:
    """Two times 99 at 1 % are nothing, though 198 would be 1."""
    hats = [OrderLine(line_id=name, title="A hat", quantity=1, amount_minor=99) for name in ("one", "two")]
    desk = sold(100, *hats)
    desk.claim("two", refund_minor=1)
    desk.wait(days=60, milliseconds=1)
    one = only(desk.ring(), events.LinesReleased)
    two = only(desk.close("cancelled"), events.LinesReleased)

    assert (one.commission_minor, two.commission_minor) == (0, 0)


# The money of it, moved and booked


def booked(said: Any) -> list[Entry]:
    return [made for message in said if (made := entry(message)) is not None]


def test_what_is_paid_out_is_less_and_the_rest_is_booked_at_once() -> None:
    desk = RefundDesk()
    desk.place()

    said = desk.hear(release(1_500, 49))

    assert only(said, PayOut).amount_minor == 1_451
    assert booked(said) == [Entry("EUR", ESCROW, COMMISSION, 49)]


def test_what_is_given_back_is_charged_less_and_booked_at_once() -> None:
    desk = RefundDesk()
    desk.place()

    said = desk.hear(settled(refund=700, chargeback=677, returned=23))

    assert (only(said, PayBack).amount_minor, only(said, ChargeBack).amount_minor) == (700, 677)
    assert booked(said) == [Entry("EUR", COMMISSION, ESCROW, 23)]


def test_where_all_is_commission_nobody_is_called() -> None:
    desk = RefundDesk()
    desk.place()

    assert [type(message) for message in desk.hear(release(1_500, 1_500))] == [CommissionTaken]


def test_it_is_booked_once() -> None:
    desk = RefundDesk()
    desk.place()
    desk.hear(release(1_500, 1_500))

    assert desk.hear(release(1_500, 1_500)) == []
    assert desk.refolded() == desk.state


def test_it_waits_for_the_order_like_every_movement() -> None:
    desk = RefundDesk()
    desk.hear(release(1_000, 1_000))
    desk.hear(release(1_000, 1_000))
    desk.hear(settled(refund=0, chargeback=0, returned=23, settlement_id="s2"))

    said = desk.place()

    kinds = [type(message) for message in said if not isinstance(message, RefundCaptured)]
    assert kinds[-2:] == [CommissionTaken, CommissionReturned]
    assert booked(said)[1:] == [Entry("EUR", ESCROW, COMMISSION, 1_000), Entry("EUR", COMMISSION, ESCROW, 23)]
    assert desk.refolded() == desk.state


def release(release_minor: int, commission: int) -> events.LinesReleased:
    return events.LinesReleased(
        order_id="order-1", settlement_id="s1", lines=(), release_minor=release_minor, commission_minor=commission,
        final=False, cause="receipt_confirmed",
    )  # fmt: skip


def settled(refund: int, chargeback: int, returned: int, settlement_id: str = "s1") -> events.Settled:
    return events.Settled(
        order_id="order-1", settlement_id=settlement_id, dispute_id="d1", refund_minor=refund, release_minor=0,
        lines=(), payout_minor=0, chargeback_minor=chargeback, commission_returned_minor=returned,
    )  # fmt: skip


# Whatever the sums


@settings(deadline=None, max_examples=200)
@given(st.data(), st.sampled_from([0, 1, 333, 2_500, 9_999, 10_000]) | st.integers(0, 10_000))
def test_every_release_is_shared_exactly_and_every_refund_gives_back_exactly(data: st.DataObject, bps: int) -> None:
    """What the platform keeps is its part of what stayed released, release by release."""
    amounts = data.draw(st.lists(st.sampled_from([0, 1, 99, 10**10]) | st.integers(0, 10**10), min_size=1, max_size=8))
    amounts[0] = amounts[0] or 1
    lines = [OrderLine(line_id=f"l{n}", title="A line", quantity=3, amount_minor=one) for n, one in enumerate(amounts)]
    desk = sold(bps, *lines)
    early = data.draw(st.sampled_from([line.line_id for line in lines]))
    if data.draw(st.booleans()) and amounts[int(early[1:])]:
        desk.claim(early, refund_minor=1, dispute_id="early")
        desk.close("decided", data.draw(st.integers(0, amounts[int(early[1:])])), "early")
    desk.confirm()
    for number in data.draw(st.permutations(range(len(lines)))):
        if amounts[number] and data.draw(st.booleans()):
            desk.claim(f"l{number}", refund_minor=1, dispute_id=f"d{number}")
            desk.close("decided", data.draw(st.integers(0, amounts[number])), f"d{number}")

        assert_keeps_its_part(desk, bps)


def assert_keeps_its_part(desk: OrderDesk, bps: int) -> None:
    told = [message for message in desk.history if isinstance(message, Event)]
    refunded = paid_out = commission = 0
    for event in told:
        if isinstance(event, events.LinesReleased):
            paid_out += event.release_minor - event.commission_minor
            commission += event.commission_minor
        if isinstance(event, events.Settled):
            refunded += event.refund_minor
            paid_out += event.payout_minor - event.chargeback_minor
            commission += event.commission_minor - event.commission_returned_minor
            assert min(event.payout_minor, event.chargeback_minor, event.commission_returned_minor) >= 0
    money = desk.money
    assert (money.refunded_minor, money.released_minor) == (refunded, paid_out + commission)
    assert commission == desk.state.commission_minor
    final = sum(
        commission_minor(event.payout_minor + event.commission_minor, bps)
        for event in told
        if isinstance(event, events.Settled)
    )
    assert commission == final + sum(commission_minor(left, bps) for left in desk.state.releases.values())


def test_the_sum_of_an_order_of_a_hundred_lines_of_the_most_money() -> None:
    """100 lines, 10^12 in all: the limits of the contract."""
    lines = [OrderLine(line_id=f"l{n}", title="A line", quantity=1, amount_minor=MINOR_MAX // 100) for n in range(100)]
    desk = sold(1_234, *lines)
    desk.confirm()
    desk.claim(*[line.line_id for line in lines])
    desk.close("decided", MINOR_MAX - 1)

    assert_keeps_its_part(desk, 1_234)
    assert desk.state.commission_minor == 0
    assert desk.money.released_minor == 1


def test_lines_that_were_never_placed_with_it_have_none() -> None:
    """Orders from before there was a commission."""
    desk = sold(0, SHIRTS, HAT)
    desk.confirm()
    desk.claim("hat")

    settled = only(desk.close("decided", 500), events.Settled)

    assert (settled.chargeback_minor, settled.commission_returned_minor) == (500, 0)


# The letters


@pytest.mark.parametrize(
    ("language", "released_says", "completed_says"),
    [
        ("en", "are paid to you, less our commission of 0.49 EUR.", "Of that 0.49 EUR are our commission."),
        ("de", "abzüglich unserer Provision von 0,49 EUR.", "Davon sind 0,49 EUR unsere Provision."),
    ],
)
def test_the_seller_is_told_what_is_taken_and_the_buyer_is_not(
    language: str, released_says: str, completed_says: str
) -> None:
    desk = sold(333)
    desk.wait(days=61)
    said = desk.ring()
    for event, sentence in (
        (only(said, events.LinesReleased), released_says),
        (only(said, events.Completed), completed_says),
    ):
        written = letters(event, language)
        assert sentence in written["seller"].text
        assert "0.49" not in written["buyer"].text.replace(",", ".")
