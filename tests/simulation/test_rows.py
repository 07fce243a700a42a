"""The rows of the case file's lists, folded event by event from random histories, say what the services know."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any

import pytest

from schemas.instants import from_ms
from schemas.wire import MEDIATORS_KEY, Event, Message
from services.casefile.foresight.oracle import JUDGES, remembered
from services.casefile.shown.rows import OF_MEDIATION, case_row, order_row
from services.casefile.shown.shapes import CaseRow, ClockShown, OrderRow
from services.dispute.case import STATUS
from shared.kernel.codec import header
from shared.kernel.ports import Record
from tests.simulation.foresight import EVENTS, calm
from tests.simulation.moments import Moment, moments
from tests.simulation.plan import RULES

HISTORIES = 10
Said = tuple[Record, Event]


def said_in(moment: Moment) -> Iterator[Said]:
    for record in moment.found.records:
        model = Message.MODELS.get(header(record.headers, "ce_type") or "")
        if record.topic in EVENTS and model is not None and issubclass(model, Event):
            yield record, model.read(record.value or b"")


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
            row = case_row(cases.pop(dispute_id, None), event, at)
            cases |= {dispute_id: row} if row else {}
    return order, cases


def told(clocks: Iterable[ClockShown]) -> list[tuple[object, str]]:
    return sorted((one.at, one.name) for one in clocks)


@pytest.mark.timeout(60 + 4 * HISTORIES)
def test_a_row_says_what_the_services_know() -> None:
    running = seats = 0
    for seed in range(HISTORIES):
        for moment in moments(calm(seed)):
            order, cases = rows(said_in(moment))
            if order is None:
                continue
            outlook = remembered(order.order_id, moment.found.records, moment.found.roster, RULES, moment.now)
            known: dict[str, Any] = {
                name: one.state for (name, key), one in outlook.streams.items() if key != MEDIATORS_KEY
            }
            ours = [one for one in JUDGES["order"].deadlines(known["order"]) if not one.name.endswith("reminder")]
            assert {*told(order.deadlines)} <= {(one.due_at, one.name) for one in ours}
            for dispute_id, row in cases.items():
                assert row.dispute_status == STATUS[type(known["dispute"][dispute_id])]
                running += row.due_at is not None
                seats += row.mediator is not None
            for service in ("dispute", "mediation"):
                theirs = [one for one in JUDGES[service].deadlines(known[service]) if "reminder" not in one.name]
                ours_too = [clock for row in cases.values() for clock in row.deadlines]
                mine = [one for one in ours_too if (one.name in OF_MEDIATION) == (service == "mediation")]
                assert told(mine) == sorted((one.due_at, one.name) for one in theirs)
    assert running > 3 * HISTORIES
    assert seats > HISTORIES


@pytest.mark.timeout(60 + 4 * HISTORIES)
def test_in_whatever_order_topics_are_read_the_row_is_the_same() -> None:
    chance, compared = Random(7), 0
    for seed in range(HISTORIES):
        for moment in moments(calm(seed)):
            said = list(said_in(moment))
            assert rows(shuffled(said, chance)) == rows(said)
            compared += len(rows(said)[1])
    assert compared > 5 * HISTORIES
