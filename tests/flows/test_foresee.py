"""What `make foresee` tells of an order: its end if nobody acts, and who may do what until when."""

import json
import re

import pytest

from deploy.local.foresee import OF_THE_ORDER, OF_THE_ROSTER, LookedAt, if_he_says, if_nobody_acts, looked_at, wish
from deploy.memory import MemoryStage, open_stage
from deploy.stories.claims import disputed
from deploy.stories.dialogue import PlayedOrder, Scene
from schemas.visibility import Viewer
from schemas.wire import MEDIATORS_KEY
from services.casefile.acts import Acts
from services.casefile.remembered import in_order
from shared.kernel.ports import Record


def lying(stage: MemoryStage, key: str, topics: tuple[str, ...]) -> list[Record]:
    logs = stage.world.bus.logs.items()
    return in_order(one for place, log in logs if place[0] in topics for one in log if one.key == key.encode())


def look(stage: MemoryStage, case: PlayedOrder, viewer: Viewer) -> LookedAt:
    records, roster = lying(stage, case.order_id, OF_THE_ORDER), lying(stage, MEDIATORS_KEY, OF_THE_ROSTER)
    return looked_at(case.order_id, records, roster, stage.world.policies, viewer, stage.world.bus.now)


def told(stage: MemoryStage, case: PlayedOrder, viewer: Viewer) -> list[str]:
    known = look(stage, case, viewer)
    lines = if_nobody_acts(known, Acts(known.outlook, case.order_id, known.said))
    return [" ".join(line.split()) for line in lines]


@pytest.fixture
async def stage() -> MemoryStage:
    stage, _ = await open_stage("aliexpress")
    return stage


async def test_a_buyer_sees_where_the_money_goes_and_what_he_may_do(stage: MemoryStage) -> None:
    case = await Scene(stage, "foreseen").shipped_order(lamp=10_00)
    await disputed(case, 10_00)

    said = told(stage, case, "buyer")

    assert said[0].endswith("If nobody acts:")
    assert any(line.endswith("dispute: closed, refund 10.00, release 0.00, seller silent") for line in said)
    assert any(line.endswith("refund: settled, refund 10.00, refund") for line in said)
    (cancel,) = (line for line in said if line.startswith("dispute.cancel"))
    (escalate,) = (line for line in said if line.startswith("dispute.escalate"))
    assert "expect reopenable until " in cancel
    assert " from " in escalate
    assert not any(line.startswith("What the seller") for line in said)


async def test_an_operator_sees_what_everybody_may_do(stage: MemoryStage) -> None:
    case = await Scene(stage, "foreseen").shipped_order(lamp=10_00)
    await disputed(case, 10_00)
    await case.seller.says("dispute.reject", dispute_id="d1")
    await case.buyer.says("dispute.escalate", dispute_id="d1")
    await case.mediator()

    said = told(stage, case, "operator")

    begins = [number for number, line in enumerate(said) if line.startswith("What the ")]
    assert [said[number] for number in begins] == [
        f"What the {role} may do:" for role in ("operator", "buyer", "seller", "mediator")
    ]
    assert any(line.startswith("mediation.decide, dispute_id d1 until ") for line in said[begins[-1] :])


async def test_of_what_has_ended_nothing_follows(stage: MemoryStage) -> None:
    case = await Scene(stage, "foreseen").order(lamp=10_00)
    await case.buyer.says("order.cancel")
    await case.ends(buyer=10_00, seller=0)

    said = told(stage, case, "seller")

    assert said[1:] == ["nothing more happens", "What the seller may do:", "nothing"]


async def test_a_mediator_sees_what_his_decision_comes_to_before_he_makes_it(stage: MemoryStage) -> None:
    case = await Scene(stage, "foreseen").shipped_order(lamp=10_00)
    await disputed(case, 10_00)
    await case.seller.says("dispute.reject", dispute_id="d1")
    await case.buyer.says("dispute.escalate", dispute_id="d1")
    await case.mediator()
    known = look(stage, case, "mediator")
    decision = {"dispute_id": "d1", "refund_minor": 300, "return_required": False, "rationale": "So be it."}

    data = json.dumps(decision | {"rules": [], "evidence_ids": []})
    said = list(if_he_says(known, wish(known, case.order_id, "mediation.decide", data)))

    assert any("mediation: decided, refund 3.00" in line for line in said)
    then = said.index("  And then, if nobody acts:")
    assert any("refund: settled, refund 3.00" in line for line in said[then:])
    assert any("refund: paid out, amount 7.00" in line for line in said[then:])


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("order.explode", "{}", "There is no command order.explode about an order."),
        ("timer.schedule", "{}", "There is no command timer.schedule about an order."),
        ("order.cancel", "[", "DATA is no JSON object."),
        ("order.cancel", "[]", "DATA is no JSON object."),
        ("order.cancel", '{"lines": 7}', "order.cancel cannot be said so: lines: "),
    ],
)
async def test_what_cannot_be_tried_is_said(stage: MemoryStage, name: str, data: str, why: str) -> None:
    case = await Scene(stage, "foreseen").order(lamp=10_00)
    with pytest.raises(ValueError, match=re.escape(why)):
        wish(look(stage, case, "buyer"), case.order_id, name, data)


async def test_what_would_be_refused_is_said_and_nothing_follows(stage: MemoryStage) -> None:
    case = await Scene(stage, "foreseen").shipped_order(lamp=10_00)
    known = look(stage, case, "buyer")
    said = list(if_he_says(known, wish(known, case.order_id, "order.cancel", "{}")))
    assert len(said) == 2
    assert said[1].endswith("order: rejected, wrong state")
