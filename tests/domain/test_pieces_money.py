"""The money of single pieces (R65): what is given back of a line in several disputes, and that no cent is lost."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.verify.checks.order_balance import OrderBalance
from schemas.common import OrderLine, PieceNumbers
from schemas.dispute.shapes import Outcome
from schemas.order import events
from schemas.wire import MINOR_MAX, Event
from services.order.lines import Disputed, Line, Money, whole
from services.order.pieces import cut
from tests.domain.order_desk import OrderDesk, answer, only, under
from tests.domain.test_giving_back import Chance, assert_adds_up, orders
from tests.domain.test_pieces import STANDINGS, parts, shipped

pytestmark = pytest.mark.rule("R65")


@pytest.fixture(autouse=True)
def _named_pieces(either_version: None, monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, disputed_pieces="named")


# What is given back without a quarrel


@pytest.mark.rule("R64")
def test_what_is_given_back_is_of_the_highest_numbered_pieces() -> None:
    """Of 300 the fifth cup bears 201 and the fourth 99."""
    desk = shipped()
    desk.give_back(cups=300)

    frozen = only(desk.claim(("cups", 4)), events.LinesFrozen)

    assert parts(frozen.lines) == [("cups", 1, 4, 802 - 99)]
    assert frozen.claimed_minor == 802 - 99
    assert desk.money == Money(held_minor=500, disputed_minor=703, refunded_minor=300)


@pytest.mark.rule("R64")
def test_beside_a_dispute_the_other_pieces_can_be_given_back() -> None:
    desk = shipped()
    desk.claim(("cups", 3))

    refused = only(desk.give_back(cups=403), events.OrderRejected)
    answers = [answer(desk.give_back(cups=minor)) for minor in (402, 1)]

    assert (refused.code, refused.details) == ("amount_exceeds", {"max_minor": 402})
    assert answers == ["refunded", "amount_exceeds"]
    assert desk.money == Money(held_minor=500, disputed_minor=601, refunded_minor=402)


@pytest.mark.rule("R64")
def test_what_is_held_of_a_line_is_given_back_together_wherever_it_lies() -> None:
    """The second and third cup are disputed, so 200 of the first and 402 of the last two are held."""
    desk = shipped()
    desk.claim(("cups", 1))
    desk.claim(("cups", 2), dispute_id="d2")
    desk.close("cancelled", final=False)

    refused = only(desk.give_back(cups=603), events.OrderRejected)

    assert refused.details == {"max_minor": 602}
    assert answer(desk.give_back(cups=602)) == "refunded"


@pytest.mark.parametrize(
    ("standing", "expected"),
    [("all_by_two", "already_disputed"), ("all_settled", "wrong_state"), ("some_settled_some_disputed", "wrong_state")],
)
@pytest.mark.rule("R64")
def test_nothing_is_given_back_where_no_piece_is_held(standing: str, expected: str) -> None:
    desk = shipped()
    for step in STANDINGS[standing]:
        step(desk)

    assert answer(desk.give_back(cups=1)) == expected


@pytest.mark.rule("R64")
def test_what_was_given_back_of_lower_pieces_stays_theirs_when_the_others_come_back() -> None:
    """The fourth and fifth cup are disputed meanwhile, so the 100 are the third's; and the three are no line again."""
    desk = shipped()
    desk.claim(("cups", 3), dispute_id="low")
    desk.claim(("cups", 2), dispute_id="high")
    desk.close("cancelled", dispute_id="low", final=False)
    desk.give_back(cups=100)
    desk.close("cancelled", dispute_id="high", final=False)

    three = only(desk.claim(("cups", 3), dispute_id="d2"), events.LinesFrozen)
    two = only(desk.claim(("cups", 2), dispute_id="d3"), events.LinesFrozen)

    assert (three.claimed_minor, two.claimed_minor) == (501, 402)
    assert desk.refolded() == desk.state


# Whatever the sums

AMOUNTS = st.sampled_from([0, 1, 2, 99, 1_003, MINOR_MAX]) | st.integers(0, MINOR_MAX)


@settings(deadline=None)
@given(AMOUNTS, st.integers(1, 1_000_000), st.data())
def test_the_pieces_are_together_the_line_wherever_it_is_cut(minor: int, quantity: int, data: st.DataObject) -> None:
    rest, worth = whole("cups", quantity, minor), 0
    while rest.quantity:
        piece, rest = cut(rest, data.draw(st.integers(1, rest.quantity)))
        last = piece.pieces.stop - 1
        assert piece.amount_minor == minor * last // quantity - worth >= 0
        worth += piece.amount_minor
    assert worth == minor


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9), st.data())
def test_cutting_is_exact_to_the_piece_whatever_was_given_back(minor: int, quantity: int, data: st.DataObject) -> None:
    """Told piece by piece: the highest-numbered give back first."""
    each = [minor * at // quantity - minor * (at - 1) // quantity for at in range(1, quantity + 1)]
    back = data.draw(st.integers(0, minor))
    left, open_ = list(each), back
    for at in reversed(range(quantity)):
        left[at] -= min(open_, each[at])
        open_ -= each[at] - left[at]
    line = whole("cups", quantity, minor)
    at = data.draw(st.integers(1, quantity))

    low, high = cut(replace(line, given_back_minor=back), at)

    assert (low.left_minor, high.left_minor) == (sum(left[:at]), sum(left[at:]))
    assert low.numbers == (PieceNumbers(first=1, last=at) if at < quantity else None)


def dump(event: Event) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(event.model_dump_json())
    return read


class PieceByPiece(Chance):
    """Claims some pieces of lines, again and again, and ends any of its disputes."""

    def left(self, name: str) -> int:
        return sum(line.left_minor for line in self.desk.state.lines if line.line_id == name)

    def claim(self) -> None:
        self.disputes += 1
        chosen = [(name, self.draw(st.integers(1, 8))) for name in self.draw(self.some)]
        lines = [line for line in self.desk.state.lines if line.line_id in dict(chosen)]
        asked = [(name, min(quantity, lines[0].ordered)) for name, quantity in chosen]
        most = self.draw(st.sampled_from([1, 2, max(1, sum(line.left_minor for line in lines))]))
        self.desk.claim(*asked, refund_minor=self.draw(st.integers(1, most)), dispute_id=f"d{self.disputes}")

    def close(self) -> None:
        open_ = {line.standing.dispute_id for line in self.desk.state.lines if isinstance(line.standing, Disputed)}
        if open_:
            outcome = self.draw(st.sampled_from(ENDS))
            final = self.draw(st.booleans()) or outcome != "cancelled"
            minor = self.draw(st.integers(0, 100) | st.integers(0, MINOR_MAX))
            self.desk.close(outcome, minor, self.draw(st.sampled_from(sorted(open_))), final)


ENDS: list[Outcome] = ["decided", "cancelled", "cancelled", "arbitration_cancelled"]


@pytest.mark.rule("R7")
@pytest.mark.rule("R64")
@pytest.mark.rule("R69")
@settings(deadline=None, max_examples=150)
@given(
    st.data(),
    orders(),
    st.sampled_from(["JPY", "EUR", "KWD"]),
    st.sampled_from([0, 1, 333, 9_999, 10_000]),
)
def test_no_cent_is_lost_between_the_pieces(
    data: st.DataObject, lines: list[OrderLine], currency: str, bps: int
) -> None:
    chance = PieceByPiece(data, lines, currency, bps)
    desk = chance.desk
    if data.draw(st.sampled_from([True, True, True, False])):
        desk.ship()
    for _ in range(data.draw(st.integers(3, 16))):
        chance.act()

        assert_adds_up(desk, sum(line.amount_minor for line in lines))
        the_parts_are_the_lines(desk, lines)
        if desk.history and isinstance(frozen := desk.history[-1], events.LinesFrozen):
            assert frozen.claimed_minor == sum(line.amount_minor for line in frozen.lines)
    assert desk.refolded() == desk.state
    balance, told = OrderBalance(), [message for message in desk.history if isinstance(message, Event)]
    assert not [wrong for event in told for wrong in balance.follow(event.type, dump(event))]


def the_parts_are_the_lines(desk: OrderDesk, lines: list[OrderLine]) -> None:
    """No piece is missing, twice or elsewhere, and together they are worth what the line is."""
    sold = {line.line_id: line for line in lines}
    found: dict[str, list[Line]] = {}
    for part in desk.state.lines:
        found.setdefault(part.line_id, []).append(part)
    assert list(found) == list(sold)
    for name, parts_ in found.items():
        assert [at for part in parts_ for at in part.pieces] == list(range(1, sold[name].quantity + 1))
        assert sum(part.amount_minor for part in parts_) == sold[name].amount_minor
        assert all(part.quantity and 0 <= part.given_back_minor <= part.amount_minor for part in parts_)
