"""Each check sees what it is there to see: a world in which all is well, and then one thing is planted."""

import json
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest

from tests.faults import checks
from tests.faults.checks import Books, Seen, World


def said(sequence: int, type_: str, id_: str, cause: str, topic: str = "", **data: Any) -> Seen:
    service = type_.partition(".")[0]
    topic = topic or f"{service}.events"
    value = json.dumps(data).encode()
    return Seen(topic, 0, sequence, "o1", id_, f"{type_}.v1", f"recourse/{service}/0", sequence, cause, value)


def command(id_: str, offset: int) -> Seen:
    return Seen("order.commands", 0, offset, "o1", id_, "order.some_wish.v1", "outside", None, "", b"{}")


def mail(id_: str, to: str = "buyer@example.com", words: str = "It was cancelled.") -> EmailMessage:
    message = EmailMessage()
    message["Message-ID"], message["To"], message["Subject"] = f"<{id_}@x>", to, "Your order"
    message.set_content(words)
    return message


PLACED = said(1, "order.placed", "e1", "c1", status="awaiting_shipment")
CANCELLED = said(2, "order.cancelled", "e2", "c2", status="cancelled")
SETTLED = said(1, "refund.settled", "r1", "payment", refund_minor=100)
TOLD = said(1, "notification.sent", "n1", "d1/1", channel="email", delivery_id="d1")


def well() -> World:
    return World(
        paid={"o1": 100},
        records=[command("c1", 0), command("c2", 1), PLACED, CANCELLED, SETTLED, TOLD],
        books={"o1": Books(100, 0, 100, 0)},
        postings_minor={"e1": 0, "r1": 0},
        payments={"o1:1/refund": 100},
        mails=[mail("d1"), mail("d1")],
    )


def test_all_is_well() -> None:
    assert checks.problems(well()) == []


def test_a_repeat_is_no_problem_but_counted() -> None:
    again = [replace(PLACED, offset=3), replace(CANCELLED, offset=4)]
    world = well()
    world.records = [*world.records, *again]
    assert checks.problems(world) == []
    assert checks.repeats(world.records) == 2


def records(*planted: Seen, instead_of: Seen | None = None) -> Callable[[World], World]:
    return lambda world: replace(world, records=[*(seen for seen in world.records if seen is not instead_of), *planted])


PLANTED: list[tuple[str, Callable[[World], list[str]], Callable[[World], World]]] = [
    ("an order that waits", checks.every_order_ends, records(instead_of=CANCELLED)),
    ("an order unheard of", checks.every_order_ends, lambda world: replace(world, paid={"o1": 100, "o2": 1})),
    ("money that has not moved", checks.every_order_ends, records(instead_of=SETTLED)),
    ("money moved twice", checks.every_order_ends, records(replace(SETTLED, id="r2", sequence=2))),
    ("no answer", checks.every_command_has_one_answer, records(command("c3", 2))),
    (
        "a second answer",
        checks.every_command_has_one_answer,
        records(said(9, "order.rejected", "e9", "c1", code="wrong_state")),
    ),
    (
        "an answer of another shard",
        checks.every_command_has_one_answer,
        records(replace(CANCELLED, id="e3", cause="c1", source="recourse/order/1")),
    ),
    ("an id used again", checks.repeats_are_exact, records(replace(CANCELLED, value=b'{"status": "completed"}'))),
    ("a sequence used again", checks.repeats_are_exact, records(replace(CANCELLED, sequence=3))),
    ("a gap", checks.nothing_is_missing, records(said(4, "order.shipped", "e4", "c9", status="cancelled"))),
    ("the first of all is gone", checks.nothing_is_missing, records(instead_of=PLACED)),
    (
        "a gap where a dead letter should be",
        checks.nothing_is_missing,
        records(replace(PLACED, topic="order.dead-letters", id="", sequence=4)),
    ),
    ("two that changed places", checks.nothing_is_out_of_order, records(replace(PLACED, offset=3), instead_of=PLACED)),
    ("a dead letter", checks.nothing_was_set_aside, records(replace(PLACED, topic="order.dead-letters"))),
    ("an entry that does not sum", checks.the_books_balance, lambda world: replace(world, postings_minor={"e1": 1})),
    ("no books", checks.the_books_balance, lambda world: replace(world, books={})),
    (
        "money left in escrow",
        checks.the_books_balance,
        lambda world: replace(world, books={"o1": Books(100, 40, 60, 0)}),
    ),
    (
        "less captured than paid",
        checks.the_books_balance,
        lambda world: replace(world, books={"o1": Books(90, 0, 90, 0)}),
    ),
    (
        "a movement nobody booked",
        checks.the_provider_agrees,
        lambda world: replace(world, payments={"o1:1/refund": 90}),
    ),
    (
        "the other party was paid",
        checks.the_provider_agrees,
        lambda world: replace(world, payments={"o1:1/payout": 100}),
    ),
    (
        "a charge-back forgotten",
        checks.the_provider_agrees,
        lambda world: replace(world, payments={**world.payments, "o1:2/chargeback": 10}),
    ),
    ("a second mail", checks.nobody_is_written_to_twice, lambda world: replace(world, mails=[mail("d1"), mail("d2")])),
    (
        "two mails of one name",
        checks.nobody_is_written_to_twice,
        lambda world: replace(world, mails=[mail("d1"), mail("d1", words="It was shipped.")]),
    ),
    ("a mail that never went", checks.nobody_is_written_to_twice, lambda world: replace(world, mails=[])),
    ("a mail nobody knows of", checks.nobody_is_written_to_twice, records(instead_of=TOLD)),
    (
        "sent twice, it is said",
        checks.nobody_is_written_to_twice,
        records(replace(TOLD, id="n2", sequence=2)),
    ),
]


@pytest.mark.parametrize(("check", "plant"), [row[1:] for row in PLANTED], ids=[row[0] for row in PLANTED])
def test_it_is_seen(check: Callable[[World], list[str]], plant: Callable[[World], World]) -> None:
    assert check(well()) == []
    assert check(plant(well())) != []


def test_every_check_was_tried() -> None:
    assert {check for _, check, _ in PLANTED} == set(checks.CHECKS)
