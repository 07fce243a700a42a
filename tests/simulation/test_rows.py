"""The rows of the case file's lists, folded event by event from random histories, say what the services know."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pytest

from schemas.instants import from_ms
from schemas.wire import Event, Message
from services.casefile.oracle import JUDGES, Outlook
from services.casefile.remembered import in_order
from services.casefile.rows import OF_MEDIATION, case_row, next_due, order_row
from services.casefile.shapes import CaseRow, OrderRow
from shared.kernel.codec import header
from shared.kernel.ports import Record
from tests.simulation import virtual_time
from tests.simulation.foresight import EVENTS, ForeseeingStage, calm

HISTORIES = 12
Said = tuple[Record, Event]


def said_of(stage: ForeseeingStage, order_id: str) -> list[Said]:
    lain = [one for one in stage.world.bus.heard if one.topic in EVENTS and one.key == order_id.encode()]
    return [
        (record, event)
        for record in in_order(lain)
        if isinstance(event := Message.MODELS[header(record.headers, "ce_type") or ""].read(record.value or b""), Event)
    ]


def shuffled(said: Sequence[Said], chance: Random) -> list[Said]:
    """Each topic in its order, and no order between them."""
    logs: dict[str, list[Said]] = {}
    for one in said:
        logs.setdefault(one[0].topic, []).append(one)
    drawn = []
    while logs:
        topic = chance.choice(sorted(logs))
        drawn.append(logs[topic].pop(0))
        if not logs[topic]:
            del logs[topic]
    return drawn


def rows(said: Iterable[Said]) -> tuple[OrderRow | None, dict[str, CaseRow]]:
    order: OrderRow | None = None
    cases: dict[str, CaseRow] = {}
    for record, event in said:
        at = from_ms(record.timestamp)
        order = order_row(order, event, at)
        if (dispute_id := getattr(event, "dispute_id", None)) is not None:
            row = case_row(cases.get(dispute_id), event, at)
            cases.pop(dispute_id, None)
            cases |= {dispute_id: row} if row else {}
    return order, cases


def running(outlook: Outlook, service: str, subjects: set[str]) -> set[tuple[str, Any]]:
    stream = next(one for (name, key), one in outlook.streams.items() if name == service and key != "mediators")
    found = JUDGES[service].deadlines(stream.state)
    return {(one.name, one.due_at) for one in found if one.subject in subjects and "reminder" not in one.name}


@pytest.mark.timeout(60 + 2 * HISTORIES)
def test_a_row_says_what_the_services_know() -> None:
    disputes, running_out = 0, 0
    for seed in range(HISTORIES):
        stage = ForeseeingStage(calm(seed))
        virtual_time.run(stage.play())
        for order_id in stage.talk.orders:
            said = said_of(stage, order_id)
            for length in range(1, len(said) + 1):
                order, cases = rows(said[:length])
                assert order is not None
                statuses = {}
                for _, event in said[:length]:
                    about = getattr(event, "dispute_id", None)
                    if getattr(event, "status", None) and event.topic != "order.events":
                        statuses[event.topic, about] = event.status  # type: ignore[attr-defined]
                for dispute_id, row in cases.items():
                    assert row.dispute_status == statuses.get(("dispute.events", dispute_id), "requested")
                    assert row.mediation_status == statuses.get(("mediation.events", dispute_id))
                    disputes += 1
                    running_out += row.due_at is not None
            outlook = stage.outlook(order_id)
            order, cases = rows(said)
            assert order is not None
            assert {(one.name, one.at) for one in order.deadlines} == running(outlook, "order", {order_id})
            for dispute_id, row in cases.items():
                due = {(one.name, one.at) for one in row.deadlines if "reminder" not in one.name}
                assert {one for one in due if one[0] not in OF_MEDIATION} == running(outlook, "dispute", {dispute_id})
                assert (row.due_at, row.due_what) == ((d.at, d.name) if (d := next_due(row.deadlines)) else (None,) * 2)
    assert disputes > 10 * HISTORIES
    assert running_out > HISTORIES


def test_in_whatever_order_topics_are_read_the_row_is_the_same() -> None:
    chance, compared = Random(7), 0
    for seed in range(HISTORIES):
        stage = ForeseeingStage(calm(seed))
        virtual_time.run(stage.play())
        for order_id in stage.talk.orders:
            said = said_of(stage, order_id)
            assert rows(shuffled(said, chance)) == rows(said)
            compared += len(rows(said)[1])
    assert compared > HISTORIES // 2
