"""The verifier knows the platform's part: what is released is paid out or commission, and both are booked (R69)."""

from dataclasses import replace

import pytest

from deploy.memory import open_stage
from deploy.stories.claims import disputed
from deploy.stories.dialogue import Scene
from tests.kit.test_verify import Plant, Written, booked, changed, written

pytestmark = pytest.mark.rule("R69")

TAKEN, RETURNED = "refund.commission_taken.v1", "refund.commission_returned.v1"


@pytest.fixture(scope="module")
async def market() -> Written:
    """100.00 released at 3.33 %, then 10.00 of it refunded."""
    stage, _ = await open_stage("aliexpress")
    case = await Scene(stage, "o").order(commission_bps=333, lamp=90_00, bulb=10_00)
    await case.seller.says("order.ship", carrier="Post", tracking_number="RR1")
    await case.buyer.says("order.confirm_receipt")
    await disputed(case, 10_00)
    await case.seller.says("dispute.accept_offer", dispute_id="d1", offer_id=1)
    await case.hears("order.completed", refund_minor=10_00, release_minor=90_00, commission_minor=2_99)
    await stage.world.settle()
    return written(stage)


def test_what_is_released_is_paid_out_or_commission(market: Written) -> None:
    report = market.verified()

    assert report.problems() == []
    sums = report.money["EUR"]
    assert (sums["released"], sums["paid_out"], sums["commission"], sums["escrow"]) == (90_00, 87_01, 2_99, 0)


def unbooked(type_: str) -> Plant:
    return lambda world: replace(world, entries=[one for one in world.entries if one.type != type_])


PLANTS: list[tuple[Plant, str]] = [
    (changed("order.lines_released.v1", "o-1", commission_minor=3_32), "by its rate 3.33 EUR and 0.00 EUR"),
    (changed("order.settled.v1", "o-1", commission_returned_minor=33), "by its rate 0.00 EUR and 0.34 EUR"),
    (changed("order.settled.v1", "o-1", chargeback_minor=10_00), "by its lines 0.00 EUR and 9.66 EUR"),
    (changed("order.completed.v1", "o-1", commission_minor=2_98), "says commission"),
    (changed("order.placed.v1", "o-1", commission_bps=0), "by its rate 0.00 EUR"),
    (unbooked(TAKEN), "commission 3.33 EUR of order.lines_released.v1"),
    (unbooked(RETURNED), "commission 0.34 EUR of order.settled.v1"),
    (booked(TAKEN, "o-1", {}, {"id": "again"}), "asked for no such commission"),
    (
        booked(RETURNED, "o-1", {"postings": [[-1, "escrow:o-1", -34], [1, "platform:commission", 34]]}),
        "what was said is",
    ),
]


@pytest.mark.parametrize(("plant", "sentence"), PLANTS, ids=[sentence for _, sentence in PLANTS])
def test_a_commission_that_is_not_as_it_should_be_is_found(market: Written, plant: Plant, sentence: str) -> None:
    problems = plant(market).verified().problems()

    assert any(sentence in one for one in problems), problems
