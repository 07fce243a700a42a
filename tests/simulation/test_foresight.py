"""What the oracle foresees is what the services then say; until when it says that something may be done, it may."""

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from deploy.publish import rows
from schemas.order.commands import RefundLines, Ship
from schemas.order.shapes import RefundedLine
from schemas.wire import Actor
from tests.domain.trials import UNTOLD
from tests.simulation import virtual_time
from tests.simulation.foresight import SLACK_MS, Asked, Edge, EdgeStage, calm
from tests.simulation.showing import ShowingStage

ACTS = {row["type"]: row for row in rows()}
HISTORIES = int(os.environ.get("RECOURSE_TEST_FORESIGHT", "15"))
AT_LAST = timedelta(0)
TOO_LATE = timedelta(milliseconds=SLACK_MS)
"""What counts from a bell that has not rung yet counts from a little later in life."""


@pytest.mark.timeout(60 + HISTORIES)
def test_what_is_foreseen_happens() -> None:
    """Of every word of random histories, and of what follows when nobody says any more: by the oracle, by the preview
    that its speaker is shown, and by what each is shown ahead; and the money lies where it was said to end."""
    differing, words, untold = [], 0, []
    for seed in range(HISTORIES):
        stage = ShowingStage(calm(seed))
        virtual_time.run(stage.play())
        assert stage.world.findings == []
        words += len(stage.compared)
        differing += [(seed, one) for one in stage.compared if one.differs]
        untold += [(seed, one) for one in stage.asked if not is_told(one)]
    assert differing == []
    assert untold == [], "schemas/acts.json does not say so"
    assert words > 16 * HISTORIES


def is_told(asked: Asked) -> bool:
    """Whether what became of it is what is published of such a command."""
    row, command = ACTS[asked.command.type], asked.command
    if refused := asked.answer.get(row["rejected"]):
        return refused["code"] != "too_late" or row["clock"] is not None
    where = row["states"] if row["states"] is not None else [UNTOLD]
    return (
        asked.status in where
        and command.actor.role in row["roles"]
        and bool(asked.answer.keys() & {*row["pending"], *row["final"]})
    )


def test_what_is_not_told_of_a_command_is_found() -> None:
    ship = Ship(order_id="o1", actor=Actor(role="seller", id="sam"), carrier="Post", tracking_number="RR1")
    shipped: dict[str, dict[str, Any]] = {"order.shipped.v1": {}}
    assert is_told(Asked(ship, "awaiting_shipment", shipped))
    assert not is_told(Asked(ship, "completed", shipped))
    assert not is_told(Asked(ship, "awaiting_shipment", {"order.settled.v1": {}}))
    late = {"order.rejected.v1": {"code": "too_late"}}
    assert is_told(Asked(ship, "cancelled", late))
    refund = RefundLines(
        order_id="o1", actor=ship.actor, lines=(RefundedLine(line_id="a", refund_minor=1),), reason="!"
    )
    assert not is_told(Asked(refund, "completed", late))


@pytest.mark.timeout(60 + HISTORIES)
@pytest.mark.parametrize(("after", "refused"), [(AT_LAST, False), (TOO_LATE, True)])
def test_what_may_be_done_until_an_instant_may_be_done_until_then(after: timedelta, refused: bool) -> None:
    wrong, came = [], 0
    for stage in edges("until", after):
        came += stage.came is not None
        if stage.came is not None and (stage.refused is not None) != refused:
            wrong.append((stage.plan.seed, stage.came))
    assert wrong == []
    assert came > HISTORIES // 3


@pytest.mark.timeout(60 + HISTORIES)
@pytest.mark.parametrize(("after", "refused"), [(TOO_LATE, False), (-TOO_LATE, True)])
def test_what_may_be_done_from_an_instant_is_refused_until_then_as_was_said(after: timedelta, refused: bool) -> None:
    wrong, came = [], 0
    for stage in edges("from", after):
        if (act := stage.came) is not None and act.refusal is not None:
            came += 1
            if (stage.refused == act.refusal.code) != refused or (stage.refused is None) == refused:
                wrong.append((stage.plan.seed, act, stage.refused))
    assert wrong == []
    assert came > HISTORIES // 10


def edges(edge: Edge, after: timedelta) -> Iterator[EdgeStage]:
    for seed in range(HISTORIES):
        stage = EdgeStage(calm(seed), edge, after)
        virtual_time.run(stage.play())
        yield stage
