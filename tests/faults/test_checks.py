"""Each check sees what it is there to see: a world in which all is well, and then one thing is planted. What the
verifier sees is tried in tests/kit/test_verify.py."""

from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest

from deploy.verify.observation import Observation
from deploy.verify.report import Report, Violation
from tests.faults import checks
from tests.faults.checks import World


def said(offset: int, type_: str, id_: str, **data: Any) -> Observation:
    topic = f"{type_.partition('.')[0]}.events"
    return Observation("o1", topic, offset=offset, type=f"{type_}.v1", id=id_, data=data)


def mail(id_: str, to: str = "buyer@example.com", words: str = "It was cancelled.") -> EmailMessage:
    message = EmailMessage()
    message["Message-ID"], message["To"], message["Subject"] = f"<{id_}@x>", to, "Your order"
    message.set_content(words)
    return message


PLACED = said(0, "order.placed", "e1", status="awaiting_shipment")
CANCELLED = said(1, "order.cancelled", "e2", status="cancelled")
SETTLED = said(0, "refund.settled", "r1", leg="refund", refund_minor=100)
TOLD = said(0, "notification.sent", "n1", recipients=[{"channel": "email", "delivery_id": "d1"}])


def well() -> World:
    return World(paid={"o1": 100}, records=[PLACED, CANCELLED, SETTLED, TOLD], mails=[mail("d1"), mail("d1")])


def test_all_is_well() -> None:
    assert checks.problems(well()) == []


def test_a_repeat_is_no_problem() -> None:
    world = well()
    world.records = [*world.records, replace(PLACED, offset=2), replace(CANCELLED, offset=3)]
    assert checks.problems(world) == []


def records(*planted: Observation, instead_of: Observation | None = None) -> Callable[[World], World]:
    return lambda world: replace(world, records=[*(one for one in world.records if one is not instead_of), *planted])


def reported(world: World) -> World:
    report = Report()
    report.add([Violation("M3", "left twice", "o1")])
    return replace(world, report=report)


PLANTED: list[tuple[str, Callable[[World], list[str]], Callable[[World], World]]] = [
    ("an order that waits", checks.every_order_ends, records(instead_of=CANCELLED)),
    ("an order unheard of", checks.every_order_ends, lambda world: replace(world, paid={"o1": 100, "o2": 1})),
    ("money that has not moved", checks.every_order_ends, records(instead_of=SETTLED)),
    ("money moved twice", checks.every_order_ends, records(replace(SETTLED, id="r2"))),
    ("what the verifier found", checks.every_promise_is_kept, reported),
    ("a dead letter", checks.nothing_was_set_aside, records(replace(PLACED, topic="order.dead-letters"))),
    ("a second mail", checks.nobody_is_written_to_twice, lambda world: replace(world, mails=[mail("d1"), mail("d2")])),
    (
        "two mails of one name",
        checks.nobody_is_written_to_twice,
        lambda world: replace(world, mails=[mail("d1"), mail("d1", words="It was shipped.")]),
    ),
    ("a mail that never went", checks.nobody_is_written_to_twice, lambda world: replace(world, mails=[])),
    ("a mail nobody knows of", checks.nobody_is_written_to_twice, records(instead_of=TOLD)),
]


@pytest.mark.parametrize(("check", "plant"), [row[1:] for row in PLANTED], ids=[row[0] for row in PLANTED])
def test_it_is_seen(check: Callable[[World], list[str]], plant: Callable[[World], World]) -> None:
    assert check(well()) == []
    assert check(plant(well())) != []


def test_every_check_was_tried() -> None:
    assert {check for _, check, _ in PLANTED} == set(checks.CHECKS)


def test_what_is_lost_and_what_is_doubled_is_counted() -> None:
    problems = ["the order service never answered c1", "number 3 of recourse/order/1 is nowhere", "left twice: 1.00"]
    assert (checks.lost(problems), checks.doubled(problems)) == (2, 1)
