"""Only decisions are appealed (C5)."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas.wire import Actor
from tests.domain.dispute_desk import BUYER, SELLER, DisputeDesk, desk_in
from tests.domain.table import outcome

ENDS: dict[str, Callable[[], DisputeDesk]] = {
    "accepted": lambda: _after("negotiating", lambda desk: desk.accept(2)),
    "cancelled": lambda: _after("negotiating", lambda desk: desk.cancel()),
    "the seller was silent": lambda: _after("awaiting_seller", lambda desk: desk.past("seller_first_response")),
    "arbitration cancelled": lambda: _after("in_mediation", lambda desk: desk.give_up()),
    "cancelled by silence": lambda: _after("in_mediation", lambda desk: desk.default(effect="cancelled")),
    "agreed on a return": lambda: desk_in("awaiting_return"),
}


def _after(state: str, act: Callable[[DisputeDesk], Any]) -> DisputeDesk:
    desk = desk_in(state)
    act(desk)
    return desk


@pytest.mark.rule("C5")
@pytest.mark.parametrize("by", [BUYER, SELLER], ids=["buyer", "seller"])
@pytest.mark.parametrize("end", ENDS)
def test_an_end_that_nobody_decided_cannot_be_appealed(end: str, by: Actor) -> None:
    desk = ENDS[end]()
    assert outcome(desk.appeal(by)) == "wrong_state"
    assert outcome(desk.waive(by)) == "wrong_state"
