"""An order in several parcels (R66): what is in them, what they start, and what becomes of what is in none."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.common import OrderLine
from schemas.order import commands, events, shapes
from schemas.policy import Duration
from schemas.wire import Actor, Message
from services.order import pieces
from services.order.lines import Money
from services.order.states import ShippedOrder
from tests.domain.order_desk import OPERATOR, SELLER, OrderDesk, answer, in_state, only, part_shipped, under
from tests.domain.table import NOON, cells

pytestmark = pytest.mark.rule("R66")

DAY, MILLISECOND = timedelta(days=1), timedelta(milliseconds=1)
CUPS = OrderLine(line_id="cups", title="Five cups", quantity=5, amount_minor=1_003)
"""200, 201, 200, 201 and 201."""
HAT = OrderLine(line_id="hat", title="A hat", quantity=1, amount_minor=500)


def placed() -> OrderDesk:
    desk = OrderDesk()
    desk.place(CUPS, HAT)
    return desk


def two_cups_shipped() -> OrderDesk:
    desk = placed()
    desk.parcel(("cups", 2))
    return desk


def parts(event: Any) -> list[tuple[str, int, int]]:
    """(line, first piece, last piece) each; without numbers it is all of the line."""
    return [(one.line_id, *((one.pieces.first, one.pieces.last) if one.pieces else (0, 0))) for one in event.lines]


# -- what is in a parcel -----------------------------------------------------------------------------------------------


def test_what_is_named_is_shipped_and_the_rest_may_follow() -> None:
    desk = placed()
    desk.wait(days=1)

    first = only(desk.parcel(("cups", 2)), events.Shipped)

    assert (first.parcel_id, parts(first), first.lines[0].quantity) == ("1", [("cups", 1, 2)], 2)
    assert (first.rest_ships_by, first.status) == (NOON + 7 * DAY, "awaiting_confirmation")
    assert desk.money == Money(unshipped_minor=602 + 500, held_minor=401)
    desk.wait(days=1)
    second = only(desk.parcel("hat", ("cups", 1)), events.Shipped)
    assert (second.parcel_id, parts(second)) == ("2", [("cups", 3, 3), ("hat", 0, 0)])
    assert second.rest_ships_by == NOON + 7 * DAY
    last = only(desk.parcel(), events.Shipped)
    assert (last.parcel_id, parts(last), last.rest_ships_by) == ("3", [("cups", 4, 5)], None)
    assert desk.money == Money(held_minor=1_503)
    assert [line.quantity for line in desk.state.lines] == [5, 1]  # they stand alike, and are one again
    assert desk.refolded() == desk.state


def test_all_of_it_in_one_parcel_says_what_it_always_said() -> None:
    by_name, without = placed(), placed()

    named, all_of_it = only(by_name.parcel("cups", "hat"), events.Shipped), only(without.ship(), events.Shipped)

    assert named == all_of_it
    assert (all_of_it.parcel_id, all_of_it.lines, all_of_it.rest_ships_by) == ("1", None, None)


def cups(quantity: int) -> Callable[[OrderDesk], list[Message]]:
    return lambda desk: desk.parcel(("cups", quantity))


STANDINGS: dict[str, list[Callable[[OrderDesk], Any]]] = {
    "nothing_shipped": [],
    "hat_cancelled": [lambda desk: desk.say(commands.Cancel, SELLER, lines=("hat",), reason="Sold out")],
    "two_shipped": [cups(2)],
    "two_disputed": [cups(2), lambda desk: desk.claim()],
    "two_settled": [cups(2), lambda desk: desk.claim(), lambda desk: desk.close("decided", 1)],
    "two_confirmed": [cups(2), lambda desk: desk.confirm()],
    "rest_cancelled": [cups(2), lambda desk: desk.say(commands.Cancel, OPERATOR, reason="Sold out")],
    "all_shipped": [cups(2), lambda desk: desk.parcel()],
    "order_cancelled": [lambda desk: desk.say(commands.Cancel)],
    "time_over": [cups(2), lambda desk: desk.wait(days=8)],
}
WISHES: dict[str, Callable[[OrderDesk], list[Message]]] = {
    "all": lambda desk: desk.parcel(),
    "hat": lambda desk: desk.parcel("hat"),
    "cups": lambda desk: desk.parcel("cups"),
    "three_cups": cups(3),
    "four_cups": cups(4),
    "six_cups": cups(6),
    "a_scarf": lambda desk: desk.parcel("scarf", "hat"),
    "parcel_1": lambda desk: desk.parcel(("cups", 1), parcel_id="1"),
}
SHIPPING = """
                 all          hat          cups         three_cups
nothing_shipped  shipped      shipped      shipped      shipped
hat_cancelled    shipped      wrong_state  shipped      shipped
two_shipped      shipped      shipped      shipped      shipped
two_disputed     shipped      shipped      shipped      shipped
two_settled      shipped      shipped      shipped      shipped
two_confirmed    shipped      shipped      shipped      shipped
rest_cancelled   wrong_state  wrong_state  wrong_state  wrong_state
all_shipped      wrong_state  wrong_state  wrong_state  wrong_state
order_cancelled  wrong_state  wrong_state  wrong_state  wrong_state
time_over        lines_cancelled+too_late  lines_cancelled+too_late  lines_cancelled+too_late  lines_cancelled+too_late
"""
REFUSED = """
                 four_cups    six_cups     a_scarf      parcel_1
nothing_shipped  shipped      invalid      not_found    shipped
hat_cancelled    shipped      invalid      not_found    shipped
two_shipped      wrong_state  invalid      not_found    already_exists
two_disputed     wrong_state  invalid      not_found    already_exists
two_settled      wrong_state  invalid      not_found    already_exists
two_confirmed    wrong_state  invalid      not_found    already_exists
rest_cancelled   wrong_state  invalid      not_found    already_exists
all_shipped      wrong_state  invalid      not_found    already_exists
order_cancelled  wrong_state  invalid      not_found    wrong_state
time_over        lines_cancelled+too_late  lines_cancelled+invalid  lines_cancelled+not_found  lines_cancelled+already_exists
"""


@pytest.mark.parametrize(("standing", "wish", "expected"), [*cells(SHIPPING), *cells(REFUSED)])
def test_what_may_be_shipped(standing: str, wish: str, expected: str) -> None:
    desk = placed()
    for step in STANDINGS[standing]:
        step(desk)

    assert answer(WISHES[wish](desk)) == expected
    assert desk.refolded() == desk.state


def test_all_standings_and_wishes_are_in_the_tables() -> None:
    found = [*cells(SHIPPING), *cells(REFUSED)]
    assert {(standing, wish) for standing, wish, _ in found} == {(one, wish) for one in STANDINGS for wish in WISHES}


def test_a_line_is_named_once() -> None:
    named = (shapes.ParcelLine(line_id="cups", quantity=1), shapes.ParcelLine(line_id="cups"))
    with pytest.raises(ValidationError, match="a line is named twice"):
        placed().say(commands.Ship, carrier="Post", tracking_number="RR1", lines=named)


def test_whose_order_it_is_not_ships_nothing_of_it() -> None:
    assert answer(placed().parcel("hat", actor=Actor(role="seller", id="another"))) == "not_allowed"


def test_a_parcel_has_the_name_it_is_given_or_the_next_number() -> None:
    desk = placed()

    names = [
        only(desk.parcel(("cups", 1), parcel_id=name), events.Shipped).parcel_id for name in ("2", None, "box-a", None)
    ]

    assert names == ["2", "1", "box-a", "3"]
    assert list(desk.state.parcels) == names


def test_an_order_has_a_hundred_parcels_at_most() -> None:
    desk = OrderDesk()
    desk.place(OrderLine(line_id="nails", title="Nails", quantity=200, amount_minor=200))
    for _ in range(100):
        assert answer(desk.parcel(("nails", 1))) == "shipped"

    assert answer(desk.parcel(("nails", 1))) == "limit_exceeded"
    assert desk.money == Money(unshipped_minor=100, held_minor=100)


def test_an_order_that_is_in_too_many_parts_is_not_taken_apart_further(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = two_cups_shipped()
    monkeypatch.setattr(pieces, "PARTS_MAX", 3)

    assert answer(desk.parcel(("cups", 1))) == "shipped"  # the third joins those before it
    desk.claim("cups")
    assert answer(desk.parcel(("cups", 1))) == "limit_exceeded"
    assert answer(desk.parcel("cups")) == "shipped"


# -- protection begins with each, and ends once ------------------------------------------------------------------------


def test_each_parcel_starts_protection_anew_for_all_that_is_held() -> None:
    desk = two_cups_shipped()
    desk.wait(days=3)

    second = only(desk.parcel(), events.Shipped)

    assert second.protection_ends_at == second.disputable_until == NOON + 63 * DAY
    assert (second.disputable_from, second.reminder_at) == (NOON, NOON + 58 * DAY)
    desk.now = NOON + 60 * DAY + MILLISECOND
    assert answer(desk.ring()) == "protection_ending"
    desk.wait(days=3)
    assert only(desk.ring(), events.LinesReleased).release_minor == 1_503


def test_what_the_seller_granted_before_stays_granted() -> None:
    desk = two_cups_shipped()
    desk.extend(30)
    desk.wait(days=3)

    second = only(desk.parcel(), events.Shipped)

    assert second.protection_ends_at == second.disputable_until == desk.state.protection_ends_at == NOON + 90 * DAY


def test_who_was_told_of_the_end_is_told_anew_of_what_came_since(monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, protection=Duration(n=6, unit="days"), max_protection_days=60)
    desk = two_cups_shipped()
    desk.extend(5)
    desk.wait(days=6, milliseconds=1)
    assert only(desk.ring(), events.ProtectionEnding).held_minor == 401

    again = only(desk.parcel("hat"), events.Shipped)  # for six days, too

    assert again.reminder_at == NOON + 7 * DAY + MILLISECOND
    desk.now = again.reminder_at + MILLISECOND
    assert only(desk.ring(), events.ProtectionEnding).held_minor == 901


def test_the_longest_protection_counts_from_the_last_parcel() -> None:
    desk = two_cups_shipped()
    desk.wait(days=5)
    desk.parcel("hat")

    granted = [answer(desk.extend(days)) for days in (30, 30, 1)]

    assert granted == ["protection_extended", "protection_extended", "limit_exceeded"]
    assert desk.state.protection_ends_at == NOON + 125 * DAY


@pytest.mark.parametrize("end", ["confirmed", "over"])
def test_after_its_end_the_next_parcel_starts_it_for_what_it_brings(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    under(monkeypatch, processing=Duration(n=90, unit="days"))
    desk = two_cups_shipped()
    desk.wait(days=1 if end == "confirmed" else 61)
    released = only(desk.confirm() if end == "confirmed" else desk.ring(), events.LinesReleased)
    assert (parts(released), released.release_minor) == ([("cups", 1, 2)], 401)
    assert desk.state is not None
    assert answer(desk.say(commands.ConfirmReceipt)) == "wrong_state"

    second = only(desk.parcel(("cups", 1)), events.Shipped)

    assert second.status == "awaiting_confirmation"
    assert second.protection_ends_at == second.disputable_until == desk.now + 60 * DAY
    assert desk.money == Money(unshipped_minor=402 + 500, held_minor=200, released_minor=401)
    assert only(desk.confirm(), events.LinesReleased).release_minor == 200
    assert desk.refolded() == desk.state


def test_receipt_of_the_first_leaves_the_rest_with_the_seller() -> None:
    desk = two_cups_shipped()

    said = desk.confirm()

    assert answer(said) == "receipt_confirmed+lines_released"
    assert only(said, events.LinesReleased).status == "awaiting_shipment"


# -- whose numbers and reports -----------------------------------------------------------------------------------------


def two_parcels() -> OrderDesk:
    desk = two_cups_shipped()
    desk.wait(days=1)
    desk.parcel(parcel_id="b")
    return desk


def report(desk: OrderDesk, parcel_id: str | None, status: Any = "delivered", at: datetime | None = None) -> Any:
    return desk.say(commands.ReportTracking, status=status, at=at or desk.now, parcel_id=parcel_id)


def correct(desk: OrderDesk, parcel_id: str | None) -> list[Message]:
    return desk.say(commands.CorrectTracking, carrier="DHL", tracking_number="RR2", parcel_id=parcel_id)


NAMED = """
               1          b          c          none
nothing_sent   not_found  not_found  not_found  wrong_state
one_parcel     obeyed     not_found  not_found  obeyed
two_parcels    obeyed     obeyed     not_found  invalid
"""


@pytest.mark.parametrize("say", [report, correct])
@pytest.mark.parametrize(("sent", "parcel_id", "expected"), list(cells(NAMED)))
def test_which_parcel_is_meant(say: Any, sent: str, parcel_id: str, expected: str) -> None:
    desk = {"nothing_sent": placed, "one_parcel": two_cups_shipped, "two_parcels": two_parcels}[sent]()

    said = say(desk, None if parcel_id == "none" else parcel_id)

    if expected == "obeyed":
        assert (said[0].parcel_id, said[0].parcels) == (
            "1" if parcel_id == "none" else parcel_id,
            len(desk.state.parcels),
        )
    else:
        assert answer(said) == expected


def test_where_there_are_several_the_refusal_says_what_to_say() -> None:
    assert "say which one" in only(report(two_parcels(), None), events.OrderRejected).message


def test_a_report_is_about_an_instant_after_its_own_parcel_was_sent() -> None:
    desk = two_parcels()

    assert answer(report(desk, "b", at=NOON + DAY - MILLISECOND)) == "invalid"
    assert answer(report(desk, "1", at=NOON + DAY - MILLISECOND)) == "tracking_reported"
    assert answer(report(desk, "b", at=NOON + DAY)) == "tracking_reported"


@pytest.mark.rule("R67")
def test_protection_is_shortened_when_all_parcels_so_far_have_come(monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, release_after_delivery=Duration(n=14, unit="days"))
    desk = two_cups_shipped()
    desk.wait(days=1)
    assert answer(report(desk, None)) == "tracking_reported+protection_shortened"
    desk.wait(days=1)
    moved_out = only(desk.parcel("hat", parcel_id="b"), events.Shipped)
    assert moved_out.protection_ends_at == NOON + 62 * DAY
    desk.wait(days=1)

    once_more, half = report(desk, "1"), report(desk, "b", "in_transit")
    all_of_it = report(desk, "b")

    assert (answer(once_more), answer(half)) == ("tracking_reported", "tracking_reported")
    assert only(all_of_it, events.ProtectionShortened).protection_ends_at == NOON + 17 * DAY
    assert answer(report(desk, "b")) == "tracking_reported"
    assert desk.refolded() == desk.state


@pytest.mark.rule("R67")
def test_one_of_two_that_came_shortens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, release_after_delivery=Duration(n=14, unit="days"))
    desk = two_parcels()

    assert answer(report(desk, "b")) == "tracking_reported"
    assert answer(report(desk, "1")) == "tracking_reported+protection_shortened"


# -- what older versions said ------------------------------------------------------------------------------------------


def read(event: type[Any], **data: Any) -> Any:
    """As it was stored before there were parcels."""
    later = {"parcel_id", "lines", "rest_ships_by", "parcels"}
    return event.model_validate(
        {"order_id": "order-1"} | {name: one for name, one in data.items() if name not in later}
    )


def test_an_order_that_was_shipped_before_there_were_parcels_goes_on() -> None:
    desk = OrderDesk()
    desk.place()
    shipped = only(desk.ship(), events.Shipped)
    reported = only(report(desk, None), events.TrackingReported)
    evolve = desk.decider.evolve
    before = OrderDesk()
    before.place()

    state = evolve(
        evolve(before.state, read(events.Shipped, **dict(shipped))), read(events.TrackingReported, **dict(reported))
    )

    assert isinstance(state, ShippedOrder)
    assert state == desk.state


def test_a_line_that_was_cancelled_before_there_were_parcels_is_gone() -> None:
    desk = in_state("awaiting")
    cancelled = only(desk.say(commands.Cancel, SELLER, lines=("shirts",), reason="Sold out"), events.LinesCancelled)

    assert "pieces" not in cancelled.lines[0].model_dump()
    assert desk.money == Money(unshipped_minor=500, refunded_minor=1_000)


def test_the_states_of_the_tables_are_what_they_say() -> None:
    desk = OrderDesk()
    part_shipped(desk)
    assert desk.money == Money(unshipped_minor=334 + 500, held_minor=666)
