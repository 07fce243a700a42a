"""What a service notes of others, and tells nobody, leaves the same whenever it is heard.

Topics have no order among each other. When a database is lost the bus alone says which input came first, by what was said
of it (docs/OPERATIONS.md, Disaster): so what it cannot tell must not matter.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest

from schemas.wire import Message, PrivateEvent
from tests.domain import mediation_room, order_desk, refund_desk, test_dispute, test_mediation, test_order
from tests.domain import test_mediation_roster as roster
from tests.domain.dispute_desk import STATES as DISPUTES
from tests.domain.dispute_desk import desk_in
from tests.domain.mediation_room import Room
from tests.domain.order_desk import OrderDesk
from tests.domain.refund_desk import RefundDesk
from tests.domain.table import Desk

Say = Callable[[Any], Any]
At = Callable[[], Desk]

ROUNDS = ("seeking", "assigned", "assigned>asked_both", "assigned>solution", "assigned>decided", "run_out", "accepted",
          "cancelled", "assigned>decided>appealed", "assigned>decided>appealed>run_out")  # fmt: skip
BEGIN_A_ROUND = {"escalate", "contest", "appeal"}
"""In which a question is asked: no answer comes before."""
OF_ORDERS = {"frozen", "not_frozen", "extended"}
"""They have an order, for they lie in one log."""
GIVE_BACK = {"cancel", "cancelled_for_him", "cancel_hat", "refund"}
"""What they give back has not reached the buyer before."""
OF_PEOPLE = {"register_m1", "register_m2", "retire_m1"}


def shown(room: Room) -> list[Message]:
    return room.show_unasked("v1")


def office(path: Sequence[str]) -> roster.Office:
    found = roster.Office()
    for step in path:
        roster.SAY[step](found)
    return found


def of_disputes() -> Iterator[tuple[str, At, Say, Say]]:
    """The order is protected for longer; a party showed the mediator something."""
    inputs = test_dispute.INPUTS
    for state in DISPUTES:
        for other in sorted(inputs.keys() - OF_ORDERS - {"silence"}):
            yield f"{state} extended {other}", partial(desk_in, state), inputs["extended"], inputs[other]
        # Where `evidence` comes between, only which file stands before which differs.
        for other in sorted({*test_dispute.COMMANDS, *OF_ORDERS} - BEGIN_A_ROUND - {"evidence"}):
            yield f"{state} answered {other}", partial(desk_in, state), inputs["answered"], inputs[other]


def of_mediation() -> Iterator[tuple[str, At, Say, Say]]:
    """The dispute was shown something; a case told the roster where its seat stands."""
    for path in ROUNDS:
        for other in sorted(test_mediation.SAY.keys() - BEGIN_A_ROUND):
            yield f"{path} shown {other}", partial(mediation_room.room_at, path), shown, test_mediation.SAY[other]
    for state, steps in roster.STATES.items():
        for seat in sorted(roster.SAY.keys() - OF_PEOPLE):
            for other in sorted(OF_PEOPLE):
                yield f"{state} {seat} {other}", partial(office, steps), roster.SAY[seat], roster.SAY[other]


def of_money() -> Iterator[tuple[str, At, Say, Say]]:
    """A refund has reached the buyer; money is to move of an order that is not known yet."""
    for state in order_desk.STATES:
        others = {name: one for name, one in test_order.COMMANDS.items() if name not in GIVE_BACK}
        for name, other in {**others, "claim": OrderDesk.claim}.items():
            yield f"{state} refunded {name}", partial(order_desk.in_state, state), OrderDesk.refunded, other
    for state in ("nothing", "noted"):
        for other in (RefundDesk.retry, RefundDesk.resolve, RefundDesk.paid, RefundDesk.failed):
            at = partial(refund_desk.in_state, state)
            yield f"{state} settled {other.__name__}", at, lambda desk: desk.settle(100, 50, 0, "s2"), other


CELLS = [*of_disputes(), *of_mediation(), *of_money()]


def left(desk: Desk, *inputs: Say) -> tuple[dict[Say, list[Message]], Any]:
    """What is told because of which, and what is kept."""
    told, noted = {}, list[str]()
    for one in inputs:
        before = len(desk.history)
        one(desk)
        said = desk.history[before:]
        told[one] = [message for message in said if not isinstance(message, PrivateEvent)]
        noted += [str(message) for message in said if isinstance(message, PrivateEvent)]
    return told, (sorted(noted), desk.refolded(), desk.stream.alarm, desk.stream.acts)


@pytest.mark.parametrize(("at", "note", "other"), [cell[1:] for cell in CELLS], ids=[cell[0] for cell in CELLS])
def test_what_nobody_is_told_of_may_have_had_its_turn_at_any_time(at: At, note: Say, other: Say) -> None:
    told, kept = left(at(), note, other)
    told_later, kept_later = left(at(), other, note)
    assert kept == kept_later or told != told_later
