"""A line of n pieces is n pieces (R65): what is disputed of them, what is not, and where the money of each ends."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas.common import OrderLine
from schemas.order import events
from services.order import disputing
from services.order.lines import Money
from tests.domain.order_desk import OrderDesk, answer, only, under
from tests.domain.table import NOON, cells

pytestmark = pytest.mark.rule("R65")

CUPS = OrderLine(line_id="cups", title="Five cups", quantity=5, amount_minor=1_003)
"""200, 201, 200, 201 and 201: 1,003 by 5 is 200.6."""
HAT = OrderLine(line_id="hat", title="A hat", quantity=1, amount_minor=500)
Parts = list[tuple[str, int, int, int]]
"""(line, first piece, last piece, money) each."""


@pytest.fixture(autouse=True)
def _named_pieces(either_version: None, monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, disputed_pieces="named")


def shipped(*lines: OrderLine, **changes: Any) -> OrderDesk:
    desk = OrderDesk()
    desk.place(*(lines or (CUPS, HAT)), **changes)
    desk.ship()
    return desk


def partly_released() -> OrderDesk:
    """The first two cups have come back from a dispute after the others, and the hat, were released; the bell that
    releases them has not rung."""
    desk = shipped()
    desk.claim(("cups", 2))
    desk.wait(days=61)
    desk.ring()
    desk.close("cancelled", final=False)
    return desk


def cups_claimed(quantity: int, dispute_id: str = "d1", **changes: Any) -> Callable[[OrderDesk], Any]:
    return lambda desk: desk.claim(("cups", quantity), refund_minor=1, dispute_id=dispute_id, **changes)


def parts(lines: Any, money: str = "amount_minor") -> Parts:
    """As an event names them; without numbers it is all of the line, whatever that is."""
    return [
        (line.line_id, *((line.pieces.first, line.pieces.last) if line.pieces else (0, 0)), getattr(line, money))
        for line in lines
    ]


# What may be claimed

STANDINGS: dict[str, list[Callable[[OrderDesk], Any]]] = {
    "free": [],
    "two_disputed": [cups_claimed(2)],
    "two_settled": [cups_claimed(2), lambda desk: desk.close("decided", 1)],
    "two_came_back": [cups_claimed(2), lambda desk: desk.close("cancelled", final=False)],
    "two_the_sellers": [cups_claimed(2), lambda desk: desk.close("arbitration_cancelled")],
    "one_settled_two_disputed": [
        cups_claimed(1), lambda desk: desk.close("decided", 1), cups_claimed(2, "d2"),
    ],
    "rest_released": [
        cups_claimed(2, received_at=NOON), lambda desk: desk.wait(days=61), lambda desk: desk.ring(),
    ],
    "all_disputed": [cups_claimed(5)],
    "all_by_two": [cups_claimed(2), cups_claimed(3, "d2")],
    "some_settled_some_disputed": [cups_claimed(1), lambda desk: desk.close("decided", 1), cups_claimed(4, "d2")],
    "all_settled": [cups_claimed(5), lambda desk: desk.close("decided", 1)],
}  # fmt: skip
CLAIMS: dict[str, Callable[[OrderDesk], Any]] = {
    "one": cups_claimed(1, "new", received_at=NOON),
    "three": cups_claimed(3, "new", received_at=NOON),
    "four": cups_claimed(4, "new", received_at=NOON),
    "five": cups_claimed(5, "new", received_at=NOON),
    "six": cups_claimed(6, "new", received_at=NOON),
    "all_there_are": lambda desk: desk.claim("cups", refund_minor=1, dispute_id="new", received_at=NOON),
    "whatever": lambda desk: desk.claim(refund_minor=1, dispute_id="new", received_at=NOON),
    "its_own_once_more": cups_claimed(1, received_at=NOON),
}
# `whatever` names no lines, and there is a hat beside; `its_own_once_more` is the dispute that there is.
FREE = """
                          one               three             four              five              six
free                      1-1               1-3               1-4               all               invalid
two_disputed              3-3               3-5               already_disputed  already_disputed  invalid
two_settled               3-3               3-5               wrong_state       wrong_state       invalid
two_came_back             1-1               1-3               1-4               all               invalid
two_the_sellers           3-3               3-5               wrong_state       wrong_state       invalid
one_settled_two_disputed  4-4               already_disputed  already_disputed  wrong_state       invalid
rest_released             3-3               3-5               already_disputed  already_disputed  invalid
all_disputed              already_disputed  already_disputed  already_disputed  already_disputed  invalid
all_by_two                already_disputed  already_disputed  already_disputed  already_disputed  invalid
some_settled_some_disputed already_disputed already_disputed  already_disputed  wrong_state       invalid
all_settled               wrong_state       wrong_state       wrong_state       wrong_state       invalid
"""
UNCOUNTED = """
                          all_there_are     whatever    its_own_once_more
free                      all               all+hat     1-1
two_disputed              3-5               3-5+hat     -
two_settled               3-5               3-5+hat     -
two_came_back             all               all+hat     -
two_the_sellers           3-5               3-5+hat     -
one_settled_two_disputed  4-5               4-5+hat     -
rest_released             3-5               3-5+hat     -
all_disputed              already_disputed  hat         -
all_by_two                already_disputed  hat         -
some_settled_some_disputed already_disputed hat         -
all_settled               wrong_state       hat         -
"""


@pytest.mark.parametrize(("standing", "claim", "expected"), [*cells(FREE), *cells(UNCOUNTED)])
@pytest.mark.rule("R14")
@pytest.mark.rule("R18")
def test_which_pieces_are_frozen(standing: str, claim: str, expected: str) -> None:
    desk = shipped()
    for step in STANDINGS[standing]:
        step(desk)
    money = desk.money

    said = CLAIMS[claim](desk)

    frozen = [message for message in said if isinstance(message, events.LinesFrozen)]
    words = [
        line.line_id if line.line_id == "hat"
        else f"{line.pieces.first}-{line.pieces.last}" if line.pieces else "all"
        for event in frozen for line in event.lines
    ]  # fmt: skip
    assert ("+".join(words) or answer(said)) == expected
    assert desk.refolded() == desk.state
    if not frozen:
        assert desk.money == money


def test_all_standings_and_claims_are_in_the_tables() -> None:
    rows = [{state for state, *_ in cells(text)} for text in (FREE, UNCOUNTED)]
    columns = {column for _, column, _ in [*cells(FREE), *cells(UNCOUNTED)]}
    assert rows == [set(STANDINGS)] * 2
    assert columns == CLAIMS.keys()


@pytest.mark.rule("R13")
def test_a_claim_is_worth_its_pieces() -> None:
    desk = shipped()

    first = only(desk.claim(("cups", 2), refund_minor=401), events.LinesFrozen)
    refused = only(desk.claim(("cups", 1), refund_minor=201, dispute_id="d2"), events.FreezeRefused)
    second = only(desk.claim(("cups", 1), refund_minor=200, dispute_id="d3"), events.LinesFrozen)

    assert parts(first.lines) == [("cups", 1, 2, 401)]
    assert (first.lines[0].quantity, first.claimed_minor) == (2, 401)
    assert (refused.code, refused.details) == ("amount_exceeds", {"max_minor": 200})
    assert parts(second.lines) == [("cups", 3, 3, 200)]
    assert desk.money == Money(held_minor=402 + 500, disputed_minor=601)


def test_where_the_policy_does_not_say_so_the_line_is_frozen_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, disputed_pieces="whole_line")
    desk = shipped()

    frozen = only(desk.claim(("cups", 2)), events.LinesFrozen)

    assert (parts(frozen.lines), frozen.claimed_minor) == ([("cups", 0, 0, 1_003)], 402)
    assert answer(desk.claim(("cups", 1), dispute_id="d2")) == "already_disputed"


@pytest.mark.rule("R76")
def test_a_piece_may_be_worth_nothing_and_can_only_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, disputed_pieces="named", replacement=True)
    desk = shipped(OrderLine(line_id="beads", title="Three beads", quantity=3, amount_minor=2), HAT)

    assert answer(desk.claim(("beads", 1), refund_minor=1)) == "amount_exceeds"
    assert answer(desk.claim(("beads", 1), refund_minor=0, kind="replacement")) == "lines_frozen"
    assert answer(desk.claim(("beads", 1), refund_minor=1, dispute_id="d2")) == "lines_frozen"


# What becomes of the others


@pytest.mark.rule("R2")
def test_three_of_five_were_broken() -> None:
    desk = shipped()
    desk.claim(("cups", 3), refund_minor=601)
    settled = only(desk.close("offer_accepted", 601), events.Settled)
    desk.refunded(settled.settlement_id)
    desk.wait(days=61)
    said = desk.ring()

    assert parts(settled.lines, "refund_minor") == [("cups", 1, 3, 601)]
    assert (settled.release_minor, settled.payout_minor) == (0, 0)
    released = only(said, events.LinesReleased)
    assert parts(released.lines) == [("cups", 4, 5, 402), ("hat", 0, 0, 500)]
    assert only(said, events.Completed).refund_minor == 601
    assert desk.money == Money(released_minor=902, refunded_minor=601)


@pytest.mark.rule("R30")
def test_pieces_that_come_back_are_what_they_were() -> None:
    desk = shipped()
    before = desk.state.lines
    desk.claim(("cups", 2))
    desk.claim(("cups", 2), dispute_id="d2")

    first = only(desk.close("cancelled", dispute_id="d1", final=False), events.LinesUnfrozen)
    desk.claim(("cups", 1), dispute_id="d3")
    for dispute_id in ("d3", "d2"):
        desk.close("cancelled", dispute_id=dispute_id, final=False)

    assert first.lines == ("cups",)
    assert desk.state.lines == before
    assert desk.refolded() == desk.state


@pytest.mark.rule("R30")
def test_what_is_settled_alike_is_not_one_again() -> None:
    """Two cups for which the same was refunded, each in a dispute of its own."""
    desk = shipped()
    for dispute_id in ("d1", "d2"):
        desk.claim(("cups", 1), dispute_id=dispute_id)
        desk.close("decided", 50, dispute_id=dispute_id)
    desk.claim(("cups", 1), dispute_id="d3")
    desk.close("cancelled", dispute_id="d3", final=False)

    assert desk.money == Money(held_minor=602 + 500, released_minor=301, refunded_minor=100)


@pytest.mark.rule("R30")
def test_a_line_that_comes_back_in_parts_is_named_once() -> None:
    desk = partly_released()
    desk.claim(("cups", 3), dispute_id="d2", received_at=NOON)

    assert only(desk.close("cancelled", dispute_id="d2", final=False), events.LinesUnfrozen).lines == ("cups",)
    assert desk.money == Money(held_minor=401, released_minor=602 + 500)


@pytest.mark.rule("R7")
@pytest.mark.rule("R69")
def test_held_and_released_pieces_of_one_line_in_one_dispute() -> None:
    """Two cups come back after the others were released, and are claimed with one of these before the bell."""
    desk = shipped(commission_bps=333)
    desk.claim(("cups", 2))
    desk.wait(days=61)
    released = only(desk.ring(), events.LinesReleased)
    desk.close("cancelled", final=False)
    frozen = only(desk.claim(("cups", 3), dispute_id="d2", received_at=NOON), events.LinesFrozen)

    settled = only(desk.close("decided", 600, dispute_id="d2"), events.Settled)

    assert (parts(released.lines), released.commission_minor) == ([("cups", 3, 5, 602), ("hat", 0, 0, 500)], 36)
    assert parts(frozen.lines) == [("cups", 1, 2, 401), ("cups", 3, 3, 200)]
    assert [line.released for line in frozen.lines] == [False, True]
    # 600 × 401 / 601 is 400.3, 600 × 200 / 601 is 199.7: the odd cent is the first's
    assert parts(settled.lines, "refund_minor") == [("cups", 1, 2, 401), ("cups", 3, 3, 199)]
    assert parts(settled.lines, "release_minor") == [("cups", 1, 2, 0), ("cups", 3, 3, 1)]
    # 1,102 were released at 3.33 %: 36; without 199 of them 30
    assert (settled.chargeback_minor, settled.commission_returned_minor) == (193, 6)
    assert desk.money == Money(released_minor=1_102 - 199, refunded_minor=600)


@pytest.mark.rule("R31")
def test_what_was_released_before_is_not_paid_twice_piece_by_piece() -> None:
    desk = partly_released()
    desk.claim(("cups", 3), dispute_id="d2", received_at=NOON)

    final = only(desk.close("arbitration_cancelled", dispute_id="d2"), events.LinesReleased)

    assert parts(final.lines) == [("cups", 1, 2, 401), ("cups", 3, 3, 0)]
    assert final.release_minor == 401
    assert desk.money == Money(released_minor=1_503)


@pytest.mark.rule("R6")
def test_receipt_is_not_confirmed_while_a_piece_is_disputed_and_then_of_the_others() -> None:
    desk = shipped()
    desk.claim(("cups", 4))

    assert answer(desk.confirm()) == "wrong_state"
    desk.close("decided", 0)
    assert parts(only(desk.confirm(), events.LinesReleased).lines) == [("cups", 5, 5, 201), ("hat", 0, 0, 500)]


def test_an_order_comes_apart_into_so_many_parts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disputing, "PARTS_MAX", 3)
    desk = shipped()
    desk.claim(("cups", 1))

    assert answer(desk.claim(("cups", 1), dispute_id="d2", refund_minor=9_999)) == "limit_exceeded"
    assert answer(desk.claim(("cups", 4), dispute_id="d3")) == "lines_frozen"
