"""May these lines be disputed (R7, R8), and where does their money go when the dispute is over (R18b, R30, R31)."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.common import OrderLine
from schemas.instants import rfc3339
from schemas.order import commands, events
from schemas.policy import Duration
from schemas.timer.commands import Schedule
from schemas.wire import Actor
from services.notification.subscriptions import recipients
from services.order.lines import Disputed, Held, Money, claimable_minor, settlement_id, split, whole
from services.order.states import deadlines
from tests.domain.order_desk import (
    SELLER,
    OrderDesk,
    all_disputed,
    answer,
    awaiting,
    columns,
    confirmed,
    expired,
    in_state,
    one_disputed,
    only,
    shipped,
    under,
)
from tests.domain.table import NOON, newest

DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)

HEARD: dict[str, Any] = {
    "claim_all": lambda desk: desk.claim(dispute_id="d2"),
    "claim_shirts": lambda desk: desk.claim("shirts", dispute_id="d2"),
    "claim_hat": lambda desk: desk.claim("hat", dispute_id="d2"),
    "claimed_again": lambda desk: desk.claim("shirts", dispute_id="d1"),
    "cancelled": lambda desk: desk.close("cancelled", final=False),
    "cancelled_late": lambda desk: desk.close("cancelled"),
    "arbitration_cancelled": lambda desk: desk.close("arbitration_cancelled"),
    "decided": lambda desk: desk.close("decided", 100),
    "buyer_silent": lambda desk: desk.close("buyer_silent"),
    "captured": lambda desk: desk.captured(),
    "refund_settled": lambda desk: desk.refunded(),
}

# `claim_all` names no lines; d1 is the dispute of the states, d2 another; `claimed_again` names d1 once more.
CLAIMS = """
                claim_all         claim_shirts      claim_hat         claimed_again
nothing         not_found         not_found         not_found         not_found
unpaid          too_early         too_early         too_early         too_early
not_paid        wrong_state       wrong_state       wrong_state       wrong_state
awaiting        too_early         too_early         too_early         too_early
cancelled       wrong_state       wrong_state       wrong_state       wrong_state
shipped         lines_frozen      lines_frozen      lines_frozen      lines_frozen
all_disputed    already_disputed  already_disputed  already_disputed  -
one_disputed    lines_frozen      already_disputed  lines_frozen      -
one_refunding   lines_frozen      wrong_state       lines_frozen      -
all_refunding   wrong_state       wrong_state       wrong_state       -
all_settled     wrong_state       wrong_state       wrong_state       -
confirmed       lines_frozen      lines_frozen      lines_frozen      lines_frozen
reclaimed       lines_frozen      already_disputed  lines_frozen      -
expired         too_late          too_late          too_late          too_late
part_shipped    lines_frozen      lines_frozen      too_early         lines_frozen
part_disputed   already_disputed  already_disputed  too_early         -
part_confirmed  lines_frozen      lines_frozen      too_early         lines_frozen
part_cancelled  lines_frozen      lines_frozen      wrong_state       lines_frozen
"""

ENDS = """
                cancelled                cancelled_late            arbitration_cancelled     decided
nothing         -                        -                         -                         -
unpaid          -                        -                         -                         -
not_paid        -                        -                         -                         -
awaiting        -                        -                         -                         -
cancelled       -                        -                         -                         -
shipped         -                        -                         -                         -
all_disputed    lines_unfrozen           lines_released+completed  lines_released+completed  settled
one_disputed    lines_unfrozen           lines_released            lines_released            settled
one_refunding   -                        -                         -                         -
all_refunding   -                        -                         -                         -
all_settled     -                        -                         -                         -
confirmed       -                        -                         -                         -
reclaimed       lines_unfrozen+completed lines_released+completed  lines_released+completed  settled
expired         -                        -                         -                         -
part_shipped    -                        -                         -                         -
part_disputed   lines_unfrozen           lines_released            lines_released            settled
part_confirmed  -                        -                         -                         -
part_cancelled  -                        -                         -                         -
"""

PAID = """
                captured
nothing         -
unpaid          paid
not_paid        -
awaiting        -
cancelled       -
shipped         -
all_disputed    -
one_disputed    -
one_refunding   -
all_refunding   -
all_settled     -
confirmed       -
reclaimed       -
expired         -
part_shipped    -
part_disputed   -
part_confirmed  -
part_cancelled  -
"""

FOR_THE_SELLER_AND_REFUNDED = """
                buyer_silent       refund_settled
nothing         -                  -
unpaid          -                  -
not_paid        -                  -
awaiting        -                  -
cancelled       -                  -
shipped         -                  -
all_disputed    settled+completed  -
one_disputed    settled            -
one_refunding   -                  -
all_refunding   -                  completed
all_settled     -                  -
confirmed       -                  -
reclaimed       settled+completed  -
expired         -                  -
part_shipped    -                  -
part_disputed   settled            -
part_confirmed  -                  -
part_cancelled  -                  -
"""


@pytest.mark.parametrize(("state", "heard", "expected"), columns(CLAIMS, ENDS, PAID, FOR_THE_SELLER_AND_REFUNDED))
@pytest.mark.rule("R8")
@pytest.mark.rule("R14")
def test_what_the_order_hears(state: str, heard: str, expected: str) -> None:
    desk = in_state(state)

    assert answer(HEARD[heard](desk)) == expected
    assert desk.refolded() == desk.state


# Opening


@pytest.mark.rule("R8")
@pytest.mark.rule("R18")
@pytest.mark.rule("R18b")
def test_chosen_lines_are_frozen_whole() -> None:
    desk = OrderDesk()
    shipped(desk)

    event = only(desk.claim("hat", ("shirts", 2), refund_minor=1_167), events.LinesFrozen)

    assert [(line.line_id, line.quantity, line.amount_minor, line.released) for line in event.lines] == [
        ("shirts", 2, 1_000, False),
        ("hat", 1, 500, False),
    ]
    assert event.claimed_minor == 667 + 500
    assert (event.buyer.id, event.seller.id, event.currency) == ("bea", "sam", "EUR")
    assert (event.policy, event.disputable_until) == (newest()[0], NOON + 60 * DAY)
    assert desk.money == Money(disputed_minor=1_500)


@pytest.mark.rule("R8")
@pytest.mark.rule("R18")
def test_without_a_choice_all_lines_that_are_free_are_frozen() -> None:
    desk = OrderDesk()
    one_disputed(desk)

    event = only(desk.claim(dispute_id="d2"), events.LinesFrozen)

    assert [line.line_id for line in event.lines] == ["hat"]


@pytest.mark.rule("R18b")
@pytest.mark.rule("R13")
def test_no_more_is_claimed_than_was_paid_for_the_pieces() -> None:
    desk = OrderDesk()
    shipped(desk)

    refused = only(desk.claim(("shirts", 1), refund_minor=335), events.FreezeRefused)

    assert (refused.code, refused.details) == ("amount_exceeds", {"max_minor": 334})
    assert answer(desk.claim(("shirts", 1), refund_minor=334)) == "lines_frozen"


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        ({"lines": ("shirts", "shoes")}, "not_found"),
        ({"lines": (("shirts", 4),)}, "invalid"),
        ({"lines": (("shirts", 4), "shoes")}, "invalid"),
        ({"kind": "replacement"}, "not_allowed"),
        ({"actor": SELLER}, "not_allowed"),
        ({"actor": Actor(role="buyer", id="not-bea")}, "not_allowed"),
        ({"actor": Actor(role="operator", id="bea")}, "not_allowed"),
        ({"refund_minor": 1_501}, "amount_exceeds"),
    ],
)
@pytest.mark.rule("R8")
@pytest.mark.rule("R13")
def test_a_claim_that_cannot_be_is_refused(claim: dict[str, Any], code: str) -> None:
    desk = OrderDesk()
    shipped(desk)
    before = desk.state

    refused = only(desk.claim(*claim.pop("lines", ()), **claim), events.FreezeRefused)

    assert (refused.dispute_id, refused.code, refused.status) == ("d1", code, "awaiting_confirmation")
    assert desk.state == before


def test_the_first_refusal_that_applies_is_the_answer() -> None:
    desk = in_state("all_settled")
    stranger = Actor(role="buyer", id="not-bea")
    desk.wait(days=100)

    claims: list[dict[str, Any]] = [
        {"lines": (("shirts", 4), "shoes"), "actor": stranger, "refund_minor": 9_999},
        {"lines": ("shoes",), "actor": stranger, "refund_minor": 9_999},
        {"actor": stranger, "refund_minor": 9_999},
        {"refund_minor": 9_999},
        {"refund_minor": 9_999, "received_at": NOON + DAY},
    ]

    answers = [answer(desk.claim(*claim.pop("lines", ()), dispute_id="d2", **claim)) for claim in claims]
    assert answers == ["invalid", "not_found", "not_allowed", "too_late", "wrong_state"]


@pytest.mark.rule("R14")
def test_a_settled_line_is_the_first_obstacle_and_a_disputed_one_the_second() -> None:
    desk = in_state("one_refunding")
    desk.claim("hat", dispute_id="d2")

    assert answer(desk.claim("hat", "shirts", dispute_id="d3")) == "wrong_state"


def test_there_is_no_order_to_dispute() -> None:
    refused = only(OrderDesk().claim(), events.FreezeRefused)

    assert (refused.code, refused.status, refused.protection_ends_at) == ("not_found", None, None)


@pytest.mark.rule("R12")
def test_replacements_are_claimed_where_the_policy_allows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, replacement=True)
    desk = OrderDesk()
    shipped(desk)

    assert answer(desk.claim(kind="replacement")) == "lines_frozen"


@pytest.mark.rule("R8")
def test_a_claim_before_its_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, open_from=Duration(n=10, unit="days"))
    desk = OrderDesk()
    shipped(desk)

    refused = only(desk.claim(received_at=NOON + 10 * DAY - MILLISECOND), events.FreezeRefused)

    assert (refused.code, refused.details) == ("too_early", {"available_at": rfc3339(NOON + 10 * DAY)})
    assert answer(desk.claim(received_at=NOON + 10 * DAY)) == "lines_frozen"


@pytest.mark.rule("R5")
def test_before_shipping_the_way_back_is_to_cancel() -> None:
    desk = OrderDesk()
    awaiting(desk)

    refused = only(desk.claim(), events.FreezeRefused)

    assert (refused.code, refused.details) == ("too_early", None)


# In time or not: the buyer's own time counts (R0)


@pytest.mark.rule("R0")
def test_a_claim_in_time_stays_in_time_however_long_it_queued() -> None:
    desk = OrderDesk()
    expired(desk)

    event = only(desk.claim("shirts", received_at=NOON + 60 * DAY), events.LinesFrozen)

    assert [line.released for line in event.lines] == [True]
    assert event.status == "disputed"
    assert desk.money == Money(released_minor=1_500)


@pytest.mark.rule("R0")
@pytest.mark.rule("C8")
def test_a_claim_too_late_is_too_late_even_if_the_bell_is_later() -> None:
    desk = OrderDesk()
    shipped(desk)
    desk.wait(days=61)

    refused = only(desk.claim(received_at=NOON + 60 * DAY + MILLISECOND), events.FreezeRefused)

    assert (refused.code, refused.details) == ("too_late", {"lost_at": rfc3339(NOON + 60 * DAY)})


@pytest.mark.rule("R0")
def test_what_another_service_says_brings_no_deadline_about() -> None:
    desk = OrderDesk()
    shipped(desk)
    desk.wait(days=61)

    assert answer(desk.claim("shirts", received_at=NOON + DAY)) == "lines_frozen"
    assert desk.money == Money(held_minor=500, disputed_minor=1_000)
    assert answer(desk.ring()) == "protection_ending+lines_released"


@pytest.mark.rule("R7")
@pytest.mark.rule("C8")
def test_broken_after_two_weeks() -> None:
    desk = OrderDesk()
    confirmed(desk)
    since_confirmed = NOON + DAY

    late = desk.claim("shirts", dispute_id="late", received_at=since_confirmed + 15 * DAY + MILLISECOND)
    event = only(desk.claim("shirts", received_at=since_confirmed + 15 * DAY), events.LinesFrozen)

    assert answer(late) == "too_late"
    assert event.lines[0].released
    assert event.disputable_until == since_confirmed + 15 * DAY
    assert desk.money == Money(released_minor=1_500)


@pytest.mark.rule("R7")
@pytest.mark.rule("C8")
def test_expired_lines_may_be_disputed_where_the_policy_gives_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, post_expiry_window=Duration(n=10, unit="days"))
    desk = OrderDesk()
    expired(desk)

    assert only(desk.claim(received_at=NOON + 70 * DAY), events.LinesFrozen).disputable_until == NOON + 70 * DAY


# Cancelled disputes


@pytest.mark.rule("R30")
def test_cancelled_in_time_the_lines_are_what_they_were() -> None:
    desk = OrderDesk()
    one_disputed(desk)

    event = only(desk.close("cancelled", final=False), events.LinesUnfrozen)

    assert (event.dispute_id, event.lines, event.disputable_until) == ("d1", ("shirts",), NOON + 60 * DAY)
    assert desk.money == Money(held_minor=1_500)
    assert answer(desk.claim("shirts", dispute_id="d2")) == "lines_frozen"


@pytest.mark.rule("R30")
def test_a_released_line_comes_back_released() -> None:
    desk = in_state("reclaimed")

    said = desk.close("cancelled", final=False)

    assert answer(said) == "lines_unfrozen+completed"
    assert only(said, events.Completed).release_minor == 1_500
    assert desk.money == Money(released_minor=1_500)
    assert answer(desk.claim("shirts", dispute_id="d2")) == "lines_frozen"


@pytest.mark.rule("R2")
@pytest.mark.rule("C15")
def test_disputed_lines_wait_and_are_released_as_soon_as_they_come_back() -> None:
    desk = OrderDesk()
    all_disputed(desk)
    desk.wait(days=61)
    assert answer(desk.ring()) == "protection_ending"

    back = desk.close("cancelled", final=False)

    assert answer(back) == "lines_unfrozen"
    assert only(back, Schedule).due_at == NOON + 60 * DAY  # gone by: the timer service rings at once
    assert answer(desk.ring()) == "lines_released+completed"
    assert desk.money == Money(released_minor=1_500)


@pytest.mark.parametrize("outcome", ["cancelled", "arbitration_cancelled"])
@pytest.mark.rule("R31")
def test_cancelled_too_late_the_lines_are_the_sellers_for_good(outcome: Any) -> None:
    desk = OrderDesk()
    one_disputed(desk)

    event = only(desk.close(outcome), events.LinesReleased)

    assert event.cause == {"cancelled": "dispute_cancelled"}.get(outcome, outcome)
    assert (event.settlement_id, event.dispute_id, event.final) == ("order-1:1", "d1", True)
    assert [(line.line_id, line.amount_minor) for line in event.lines] == [("shirts", 1_000)]
    assert event.release_minor == 1_000
    assert answer(desk.claim("shirts", dispute_id="d2")) == "wrong_state"
    assert desk.money == Money(held_minor=500, released_minor=1_000)


@pytest.mark.rule("R31")
def test_what_was_released_before_is_not_paid_twice() -> None:
    desk = in_state("reclaimed")

    event = only(desk.close("arbitration_cancelled"), events.LinesReleased)

    assert [(line.line_id, line.amount_minor) for line in event.lines] == [("shirts", 0)]
    assert event.release_minor == 0
    assert answer(desk.claim(dispute_id="d2")) == "lines_frozen"
    assert answer(desk.claim("shirts", dispute_id="d3")) == "wrong_state"


# Settled disputes


@pytest.mark.rule("R18b")
def test_a_refund_is_shared_in_proportion_to_the_claim_and_odd_cents_go_first() -> None:
    desk = OrderDesk()
    desk.place(*(OrderLine(line_id=name, title=name, quantity=3, amount_minor=100) for name in ("a", "b", "c")))
    desk.ship()
    desk.claim(("a", 1), ("b", 3), ("c", 2))

    event = only(desk.close("decided", 101), events.Settled)

    # 34 + 100 + 67 = 201 were claimed; 17.08, 50.25 and 33.67 leave one odd cent
    assert [(line.line_id, line.refund_minor, line.release_minor) for line in event.lines] == [
        ("a", 18, 82),
        ("b", 50, 50),
        ("c", 33, 67),
    ]
    assert (event.refund_minor, event.release_minor) == (101, 199)
    assert (event.payout_minor, event.chargeback_minor) == (199, 0)
    assert (event.settlement_id, event.dispute_id) == ("order-1:1", "d1")


@pytest.mark.rule("R7")
def test_the_refund_of_a_released_line_comes_from_the_sellers_balance() -> None:
    desk = OrderDesk()
    shipped(desk)
    desk.claim("hat", dispute_id="d0")
    desk.wait(days=61)
    desk.ring()
    desk.close("decided", 0, dispute_id="d0")
    desk.claim("shirts", received_at=NOON + DAY)

    event = only(desk.close("offer_accepted", 400), events.Settled)

    assert (event.refund_minor, event.release_minor) == (400, 600)
    assert (event.payout_minor, event.chargeback_minor) == (0, 400)
    assert event.settlement_id == "order-1:3"
    assert desk.money == Money(released_minor=1_100, refunded_minor=400)


@pytest.mark.rule("R7")
def test_held_and_released_lines_of_one_dispute() -> None:
    desk = OrderDesk()
    one_disputed(desk)
    desk.wait(days=61)
    desk.ring()
    desk.close("cancelled", final=False)
    said = desk.claim(received_at=NOON + DAY, refund_minor=1_500, dispute_id="d2")
    assert [line.released for line in only(said, events.LinesFrozen).lines] == [False, True]

    event = only(desk.close("decided", 751, dispute_id="d2"), events.Settled)

    assert [(line.refund_minor, line.release_minor) for line in event.lines] == [(501, 499), (250, 250)]
    assert (event.payout_minor, event.chargeback_minor) == (499, 250)


@pytest.mark.rule("R18b")
def test_whatever_a_dispute_says_no_more_is_refunded_than_was_claimed() -> None:
    desk = OrderDesk()
    shipped(desk)
    desk.claim(("shirts", 2))

    event = only(desk.close("decided", 999_999), events.Settled)

    assert (event.refund_minor, event.release_minor) == (667, 333)


@pytest.mark.rule("R52")
def test_completed_when_the_last_refund_has_arrived_and_again_after_a_later_claim() -> None:
    desk = OrderDesk()
    confirmed(desk)
    for number, line in enumerate(("shirts", "hat"), start=2):
        desk.claim(line, dispute_id=line)
        desk.close("decided", 100, dispute_id=line)
        assert answer(desk.refunded("order-1:1")) == "-"
        completed = only(desk.refunded(f"order-1:{number}"), events.Completed)
        refunded_minor = 100 * (number - 1)
        assert (completed.refund_minor, completed.release_minor) == (refunded_minor, 1_500 - refunded_minor)
        assert desk.refunded(f"order-1:{number}") == []


@pytest.mark.rule("R52")
def test_a_refund_on_its_way_holds_up_the_order_but_not_a_line_that_is_held() -> None:
    desk = in_state("one_refunding")

    said = desk.refunded()

    assert answer(said) == "-"
    assert only(desk.place(), events.OrderRejected).status == "awaiting_confirmation"
    assert answer(desk.confirm()) == "receipt_confirmed+lines_released+completed"


@pytest.mark.rule("R79")
def test_what_is_completed_says_until_when_what_was_released_may_be_disputed() -> None:
    desk = in_state("one_refunding")
    desk.refunded()
    confirmed = desk.confirm()
    until = only(confirmed, events.ReceiptConfirmed).disputable_until
    assert only(confirmed, events.Completed).disputable_until == until > desk.now
    refunded = in_state("all_refunding").refunded()
    assert only(refunded, events.Completed).disputable_until is None, "nothing was released"


@pytest.mark.rule("R8")
@pytest.mark.rule("R14")
def test_two_disputes_of_one_order_end_on_their_own() -> None:
    desk = OrderDesk()
    one_disputed(desk)
    desk.claim("hat", dispute_id="d2")

    first = only(desk.close("decided", 333, dispute_id="d1"), events.Settled)
    second = only(desk.close("seller_silent", 500, dispute_id="d2"), events.Settled)

    assert (first.settlement_id, second.settlement_id) == ("order-1:1", "order-1:2")
    assert (first.status, second.status) == ("disputed", "payment_processing")
    assert desk.money == Money(released_minor=667, refunded_minor=833)
    assert list(deadlines(desk.state)) == []


@pytest.mark.rule("R2")
@pytest.mark.rule("R30")
def test_what_is_released_later_than_the_rest_goes_under_a_name_of_its_own() -> None:
    desk = OrderDesk()
    one_disputed(desk)
    desk.wait(days=61)
    first = only(desk.ring(), events.LinesReleased)
    desk.close("cancelled", final=False)
    second = only(desk.ring(), events.LinesReleased)
    assert (first.settlement_id, second.settlement_id) == ("order-1:1", "order-1:2")


LINES = st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=8)


@pytest.mark.rule("R18b")
@settings(deadline=None)
@given(LINES, st.integers(0, 10**7))
def test_no_share_ever_passes_its_line(pieces: list[tuple[int, int, int]], refund_minor: int) -> None:
    disputed = [
        (whole(str(number), ordered, amount_minor), Disputed("d1", min(claimed, ordered), Held()))
        for number, (amount_minor, ordered, claimed) in enumerate(pieces)
    ]
    claims = [claimable_minor(line, standing.quantity) for line, standing in disputed]

    shares = split(disputed, refund_minor)

    assert sum(share.refund_minor for share in shares) == min(refund_minor, sum(claims))
    for share, claim, (line, _) in zip(shares, claims, disputed, strict=True):
        assert share.refund_minor + share.release_minor == line.amount_minor
        assert 0 <= share.refund_minor <= claim <= line.amount_minor


@settings(deadline=None)
@given(st.sets(st.tuples(st.from_regex(r"\A[a1:]{1,3}\Z"), st.integers(1, 12))))
def test_no_two_movements_of_any_orders_share_a_name(movements: set[tuple[str, int]]) -> None:
    """Short order ids and such as are too long to be part of the name."""
    names = [settlement_id(order * repeat, number) for order, number in movements for repeat in (1, 21)]
    orders = {(order * repeat, number) for order, number in movements for repeat in (1, 21)}

    assert len(set(names)) == len(orders)
    assert all(len(name) <= 64 for name in names)


def test_a_settlement_of_a_long_order_id_fits_and_stays_the_same() -> None:
    desk = OrderDesk("o" * 64)
    all_disputed(desk)

    event = only(desk.close("decided", 100), events.Settled)

    assert event.settlement_id == settlement_id("o" * 64, 1)
    assert len(event.settlement_id) == 64


@pytest.mark.rule("R77")
def test_a_refused_claim_of_a_stranger_is_for_operators_alone() -> None:
    """Whatever it is refused for; the buyer's own is for everybody."""
    for desk in (OrderDesk(), in_state("shipped")):
        for said in (desk.claim("hat", actor=Actor(role="buyer", id="mallory")), desk.claim("lamp", actor=SELLER)):
            refused = only(said, events.FreezeRefused)
            assert refused.visible_to == ("operator",)
            assert recipients(refused) == []
    refused = only(in_state("shipped").claim("hat", refund_minor=501), events.FreezeRefused)
    assert (refused.code, refused.visible_to) == ("amount_exceeds", None)


@pytest.mark.rule("R77")
def test_a_refusal_of_a_right_tells_nothing_of_the_order() -> None:
    desk = in_state("shipped")
    refused = only(desk.say(commands.ConfirmReceipt, Actor(role="buyer", id="mallory")), events.OrderRejected)
    assert (refused.code, refused.status, refused.protection_ends_at) == ("not_allowed", None, None)
