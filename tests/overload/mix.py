"""What people do during an overload: many orders, each going one of a few ways, its commands given on a schedule that
waits for nobody's answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.stories.claims import BROKEN
from deploy.stories.dialogue import refund
from tests.bench.load import basket, given
from tests.support.believing import BELIEVING
from tests.support.commands import Given

ORDERS = "order.commands"
UNHURRIED, HURRIED = f"{BELIEVING}aliexpress", f"{BELIEVING}demo"
"""Under rules that believe the platform nothing the order service hears of others changes what it says, and so its
inbox alone says how each command is to be judged."""
LATE = 8.0
"""Seconds after the order is placed; where it is hurried it must be shipped within 7."""
SILENCE = 17.0
"""Seconds; where it is hurried the seller must answer within 15 of the opening of a dispute."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command, so many seconds after the order's turn has come."""

    after: float
    type: str
    role: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """`before`: what was said and settled before the overload. `one_inbox`: during it all of an order's commands go to
    one service, so there is an order between them."""

    policy: str
    then: Sequence[Step]
    before: Sequence[Step] = ()
    one_inbox: bool = True


CLAIMED, AGREED = 20_00, 5_00
PARCEL = {"carrier": "Cainiao", "tracking_number": "LP00000000001CN"}
DISPUTE = {"dispute_id": "d1"}


def _ship(after: float) -> Step:
    return Step(after, "order.ship.v1", "seller", PARCEL)


def _confirm(after: float) -> Step:
    return Step(after, "order.confirm_receipt.v1", "buyer", {})


def _dispute(after: float) -> Step:
    return Step(after, "dispute.open.v1", "buyer", {**DISPUTE, **BROKEN, "terms": refund(CLAIMED)})


def _agree(after: float) -> tuple[Step, Step]:
    return (
        Step(after, "dispute.offer.v1", "seller", {**DISPUTE, "terms": refund(AGREED)}),
        Step(after + 0.3, "dispute.accept_offer.v1", "buyer", {**DISPUTE, "offer_id": 2}),
    )


PLACE = Step(0, "order.place.v1", "platform", {})  # and a basket
NEWS = Step(0.4, "order.correct_tracking.v1", "seller", PARCEL)
WITHDRAW = Step(0, "dispute.cancel.v1", "buyer", {**DISPUTE, "expect": "reopenable"})

WAYS: Mapping[str, Way] = {
    "bought": Way(UNHURRIED, (PLACE, _ship(0.2), NEWS, _confirm(0.6))),
    "cancelled": Way(UNHURRIED, (PLACE, Step(0.3, "order.cancel.v1", "buyer", {}))),
    "impatient": Way(UNHURRIED, (PLACE, _ship(0.2), _dispute(0.4), *_agree(0.5)), one_inbox=False),
    "prompt": Way(HURRIED, (PLACE, _ship(0.3), _confirm(0.6))),
    "dawdled": Way(HURRIED, (PLACE, _ship(LATE), _confirm(LATE + 0.3))),
    "claimed": Way(UNHURRIED, (_dispute(0),), before=(PLACE, _ship(0))),
    "agreed": Way(UNHURRIED, _agree(0), before=(PLACE, _ship(0), _dispute(0))),
    "withdrawn": Way(UNHURRIED, (WITHDRAW,), before=(PLACE, _ship(0), _dispute(0))),
    "answered": Way(HURRIED, _agree(0), before=(PLACE, _ship(0), _dispute(0))),
    "unanswered": Way(HURRIED, _agree(SILENCE), before=(PLACE, _ship(0), _dispute(0))),
}
SHARES = (
    *("bought", "bought", "cancelled", "bought", "prompt", "impatient", "bought", "cancelled", "dawdled", "bought"),
    *("bought", "prompt", "impatient", "bought", "cancelled", "bought", "prompt", "bought", "dawdled", "bought"),
)
"""The orders that are placed during the overload, over and over."""
PREPARED = 60
"""So many orders of each way that begins before it."""
PREPARED_WITHIN = 2.0
"""Seconds from its beginning in which those go on."""


def way_of(order_id: str) -> str:
    """Orders are called by run, way and number."""
    return order_id.split("-")[1]


def backlog(run: str, commands: int) -> list[Given]:
    """About so many, of orders that all go their way at once."""
    return [one for _, one in sorted(_new(run, commands, 1e-3), key=lambda due: due[0])]


def preparation(run: str) -> tuple[list[Given], list[Given]]:
    """What is said before an overload: first to the order service, and when that is settled the rest."""
    said = [
        _said(step, f"{run}-{name}-{i}", i, way)
        for name, way in WAYS.items()
        for i in range(PREPARED if way.before else 0)
        for step in way.before
    ]
    return [one for one in said if one.topic == ORDERS], [one for one in said if one.topic != ORDERS]


def schedule(run: str, commands: int, seconds: float) -> list[tuple[float, Given]]:
    """About so many commands, due within about so many seconds of the beginning, a few of them later; in order."""
    due = [
        (PREPARED_WITHIN * i / PREPARED + step.after, _said(step, f"{run}-{name}-{i}", i, way))
        for name, way in WAYS.items()
        if way.before
        for i in range(PREPARED)
        for step in way.then
    ]
    return sorted([*due, *_new(run, commands - len(due), seconds)], key=lambda one: one[0])


def _new(run: str, commands: int, seconds: float) -> Iterator[tuple[float, Given]]:
    a_round = sum(len(WAYS[name].then) for name in SHARES)
    orders = max(commands, 0) * len(SHARES) // a_round
    for i in range(orders):
        name = SHARES[i % len(SHARES)]
        for step in WAYS[name].then:
            yield seconds * i / orders + step.after, _said(step, f"{run}-{name}-{i}", i, WAYS[name])


def _said(step: Step, order_id: str, number: int, way: Way) -> Given:
    people = {"platform": "checkout", "buyer": f"buyer-{number}", "seller": f"seller-{number % 97}"}
    data = basket(order_id, number) | {"policy": way.policy} if step is PLACE else step.data
    return given(step.type, order_id, step.role, people[step.role], data)
