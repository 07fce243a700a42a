"""What one quarrel costs: a disputed order of ten commands of people, from its placing until its money has moved. What
it may say, store and compute is a budget; what makes it dearer is seen here, and where. A figure that falls is written
down."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any

from deploy.memory import MemoryPaymentService
from schemas.wire import MEDIATORS_KEY
from services.composition import compose
from shared.rules import policies
from shared.runtime.memory import World
from tests.support.commands import command

RECORDS_MAX = {
    "order.commands": 2,
    "order.events": 6,
    "dispute.commands": 5,
    "dispute.events": 8,
    "mediation.commands": 4,
    "mediation.events": 6,
    "mediation.roster": 3,
    "refund.commands": 1,
    "refund.events": 6,
    "notification.events": 18,
    "timer.commands": 6,
    "payments.commands": 3,
    "payments.events": 3,
}
"""By topic; none lies elsewhere."""
ROWS_MAX = {"order": 8, "dispute": 11, "mediation": 14, "refund": 12, "notification": 22, "timer": 1}
"""By service: what it publishes, and what stays its own."""
CALLS_MAX = {
    "services.order": 580,
    "services.dispute": 430,
    "services.mediation": 300,
    "services.refund": 320,
    "services.notification": 1_350,
    "services.timer": 310,
    "schemas": 930,
    "shared.kernel": 6_600,
    "shared.rules": 280,
    "shared.runtime": 19_400,
    "deploy": 270,
    "libraries": 4_700,
}
"""Of Python functions, by whose they are. What plays the bus and the database is `shared.runtime`, too."""

ORDER = "order-1"
PEOPLE = {"platform": "checkout", "buyer": "bea", "seller": "sam", "mediator": "mia", "operator": "olga"}
LAMP = {"line_id": "l1", "title": "Lamp", "quantity": 1, "amount_minor": 5_000}
PLACED = {
    "buyer": {"id": "bea"},
    "seller": {"id": "sam"},
    "currency": "EUR",
    "lines": [LAMP],
    "payment": {"payment_id": "p1", "amount_minor": 5_000},
}
SHIPPED = {"carrier": "DHL", "tracking_number": "T1"}
CLAIM = {
    "received": True,
    "reason": "damaged",
    "description": "Torn.",
    "terms": {"kind": "refund", "refund_minor": 5_000},
}
DECIDED = {
    "refund_minor": 2_000,
    "return_required": False,
    "rationale": "The shade alone is torn.",
    "rules": ["shared-risk"],
    "evidence_ids": [],
}
QUARREL: list[tuple[str, str, dict[str, Any]]] = [
    ("order.place", "platform", PLACED),
    ("order.ship", "seller", SHIPPED),
    ("dispute.open", "buyer", CLAIM),
    ("dispute.reject", "seller", {}),
    ("dispute.escalate", "buyer", {}),
    ("mediation.ask", "mediator", {"question_id": "q1", "to": "both", "question": "Where is it torn?"}),
    ("mediation.answer", "buyer", {"question_id": "q1", "text": "The shade."}),
    ("mediation.answer", "seller", {"question_id": "q1", "text": "Not when it left."}),
    ("mediation.decide", "mediator", DECIDED),
    ("dispute.waive_appeal", "buyer", {}),
    ("dispute.waive_appeal", "seller", {}),
]


async def a_market() -> tuple[World, MemoryPaymentService]:
    """With a mediator, and without a mail server: the topic tells people."""
    world = World(policies.load(), partitions=1)
    await compose(world)
    payments = MemoryPaymentService(world.bus)
    world.external_systems.append(payments)
    await say(world, MEDIATORS_KEY, "mediation.register_mediator", "operator", {"mediator_id": "mia"})
    return world, payments


async def say(world: World, order_id: str, name: str, role: str, data: dict[str, Any]) -> None:
    given = command(f"{name}.v1", order_id, role, PEOPLE[role], data, f"{name} by {role}")
    world.bus.append(given.topic, given.key, given.value, given.headers)
    await world.settle()


async def quarrel(world: World) -> None:
    for name, role, data in QUARREL:
        about = {} if name.startswith("order.") else {"dispute_id": "d1"}
        await say(world, ORDER, name, role, about | data)
    await world.wait(timedelta(minutes=1))  # whatever rings after the money has moved


def records(world: World) -> Counter[str]:
    return Counter({topic: len(log) for (topic, _), log in world.bus.logs.items()})


def rows(world: World) -> Counter[str]:
    return Counter({service: len(store.shards[0].events) for service, store in world.stores.items()})


def beyond(found: Counter[str], most: dict[str, int]) -> dict[str, str]:
    """Where, how many, and how many there may be."""
    return {where: f"{count} of {most.get(where, 0)}" for where, count in found.items() if count > most.get(where, 0)}


async def test_a_quarrel_says_and_stores_no_more_than_its_budget() -> None:
    world, payments = await a_market()
    said_before, stored_before = records(world), rows(world)
    await quarrel(world)

    assert sorted(one.amount_minor for one in payments.provider.moved) == [2_000, 3_000], "it was not played to its end"
    assert beyond(records(world) - said_before, RECORDS_MAX) == {}
    assert beyond(rows(world) - stored_before, ROWS_MAX) == {}


def whose(module: str) -> str:
    first, _, rest = module.partition(".")
    if first in ("services", "shared"):
        return f"{first}.{rest.partition('.')[0]}"
    return first if first in ("schemas", "deploy") else "libraries"


@contextmanager
def calls_counted() -> Iterator[Counter[str]]:
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls[whose(frame.f_globals.get("__name__", ""))] += 1

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


async def test_a_quarrel_computes_no_more_than_its_budget() -> None:
    await quarrel((await a_market())[0])  # so that what is made ready once is ready
    world, _ = await a_market()
    with calls_counted() as calls:
        await quarrel(world)

    assert beyond(calls, CALLS_MAX) == {}
