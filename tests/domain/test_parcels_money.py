"""Whatever is shipped, disputed, given back and cancelled of an order in parcels, no cent is lost (R66)."""

from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.verify.checks.order_balance import OrderBalance
from schemas.common import OrderLine
from schemas.order import commands, events
from schemas.wire import Event
from services.order.lines import Held, Unshipped
from services.order.states import ShippedOrder, deadlines, status
from tests.domain import table
from tests.domain.order_desk import SELLER, under
from tests.domain.test_giving_back import assert_adds_up, orders
from tests.domain.test_pieces_money import PieceByPiece, dump, the_parts_are_the_lines

pytestmark = pytest.mark.rule("R66")


class InParcels(PieceByPiece):
    """Ships some pieces of some lines, and what is left with or without a name."""

    def act(self) -> None:
        self.draw(st.sampled_from([self.ship, self.ship, self.again, super().act, super().act, super().act]))()

    def ship(self) -> None:
        names = self.draw(self.some)
        parcel = [(name, self.draw(st.integers(1, 4))) for name in names]
        wishes: list[list[str] | list[tuple[str, int]]] = [[], names, parcel, parcel, parcel]
        self.desk.parcel(*self.draw(st.sampled_from(wishes)))

    def again(self) -> None:
        match self.draw(st.sampled_from(["report", "extend", "cancel"])):
            case "report":
                named = self.draw(st.sampled_from(sorted(getattr(self.desk.state, "parcels", {"1": None}))))
                said = {"status": "delivered", "at": self.desk.now, "parcel_id": named}
                self.desk.say(commands.ReportTracking, **said)
            case "extend":
                self.desk.say(commands.ExtendProcessing, days=self.draw(st.sampled_from([1, 30])))
            case _:
                self.desk.say(commands.Cancel, SELLER, reason="Sold out")


@pytest.fixture(autouse=True, params=["whole_line", "named"])
def _pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    shortens = table.newest()[1].auto_escalation
    under(monkeypatch, disputed_pieces=request.param, release_after_delivery=shortens)


@pytest.mark.rule("R7")
@pytest.mark.rule("R64")
@pytest.mark.rule("R69")
@settings(deadline=None, max_examples=120)
@given(
    st.data(),
    orders(),
    st.sampled_from(["JPY", "EUR", "KWD"]),
    st.sampled_from([0, 1, 333, 9_999, 10_000]),
)
def test_captured_is_unshipped_held_disputed_released_and_refunded(
    data: st.DataObject, lines: list[OrderLine], currency: str, bps: int
) -> None:
    chance = InParcels(data, lines, currency, bps)
    desk, captured = chance.desk, sum(line.amount_minor for line in lines)
    balance, followed = OrderBalance(), 0
    for _ in range(data.draw(st.integers(3, 16))):
        before = desk.state
        chance.act()

        assert_adds_up(desk, captured)
        the_parts_are_the_lines(desk, lines)
        told = [message for message in desk.history[followed:] if isinstance(message, Event)]
        assert not [wrong for event in told for wrong in balance.follow(event.type, dump(event))]
        followed = len(desk.history)
        money = desk.money
        assert (balance.unshipped, balance.held, balance.disputed, balance.released, balance.refunded) == astuple(money)
        if isinstance(desk.state, ShippedOrder):
            nobody_is_forgotten(desk.state)
        if isinstance(before, ShippedOrder) and any(isinstance(event, events.Shipped) for event in told):
            assert desk.state.disputable_until >= before.disputable_until
    assert desk.refolded() == desk.state


def nobody_is_forgotten(order: ShippedOrder) -> None:
    """Each standing has its clock; and of a line what is not shipped is its highest pieces, of which none passed by."""
    clocks = {deadline.name for deadline in deadlines(order)}
    standings = {type(line.standing) for line in order.lines}
    assert ("protection_ends" in clocks) == (Held in standings)
    assert ("processing_ends" in clocks) == (Unshipped in standings)
    assert status(order) != "completed" or not {Held, Unshipped} & standings
    ends = {line.line_id: line for line in order.lines}
    for line in order.lines:
        assert not isinstance(line.standing, Unshipped) or ends[line.line_id] is line
